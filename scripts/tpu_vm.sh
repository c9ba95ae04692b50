#!/usr/bin/env bash
# Trains on a spot slice of Cloud TPUs. When the slice is taken away, it waits for a new one and goes on.
#
#     export TPU=dbnet ZONE=us-east5-b TYPE=v6e-16 RUNTIME=v2-alpha-tpuv6e
#     export SOURCE=https://… BUCKET=gs://my-bucket       # SOURCE: a git repository of this project
#     scripts/tpu_vm.sh --config=configs/icdar2015.py --config.data.dir=data
#
# The words behind the script are those of `run.py`. The run is in $BUCKET/$TPU. Where DATA is set, as in
# DATA=gs://my-bucket/icdar2015, its files are copied to the folder `data` of every host. When the run is done, the
# slice is deleted. Ctrl-C ends this script alone; `scripts/tpu_vm.sh --delete` deletes the slice, which costs money as
# long as it exists.
set -euo pipefail
: "${TPU:?}" "${ZONE:?}"

slice() { gcloud compute tpus queued-resources "$1" "$TPU" --zone="$ZONE" "${@:2}"; }
# Only the answer that there is no slice is NONE: after a lost connection, a second slice would cost money too.
state() {
  local answer
  if answer=$(slice describe --format='value(state.state)' 2>&1); then
    echo "${answer##*$'\n'}"
  elif [[ $answer == *NOT_FOUND* ]]; then
    echo NONE
  else
    echo "$answer" >&2
    echo UNKNOWN
  fi
}
on_every_host() { gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$1"; }

create() {
  slice create --node-id="$TPU" --accelerator-type="${TYPE:?}" --runtime-version="${RUNTIME:?}" --spot
}

# The images of TPU VMs have an older Python than this project needs, so uv brings one.
install() {
  local copy=${DATA:+"gcloud storage rsync --recursive $DATA data"}
  on_every_host "set -e
    pip install --quiet --user uv
    test -d project || git clone --quiet '${SOURCE:?}' project
    cd project
    test -d .venv || ~/.local/bin/uv venv --quiet --python=3.12 .venv
    ~/.local/bin/uv pip install --quiet --editable '.[cloud]' 'jax[tpu]'
    $copy"
}

# A process that outlived a lost connection still holds the chips: it is told to save and end.
train() {
  on_every_host "cd project
    pkill -f '^[^ ]*python run.py'
    while pgrep -f '^[^ ]*python run.py'; do sleep 1; done
    JAX_COMPILATION_CACHE_DIR=${BUCKET:?}/jax-cache \
      .venv/bin/python run.py --coordinator=auto --workdir=$BUCKET/$TPU $(printf ' %q' "$@")"
}

if [[ ${1-} != --delete ]]; then
  failures=0
  until [[ $(state) == ACTIVE ]] && install && train "$@"; do
    # A slice that is there and fails again and again costs money for nothing.
    if [[ $(state) == ACTIVE ]] && ((++failures >= 20)); then
      echo "the command failed 20 times: the slice $TPU stays; look at its log, then: $0 --delete" >&2
      exit 1
    fi
    case $(state) in
      NONE) create ;;
      SUSPENDED | FAILED) slice delete --force --quiet ;;
    esac
    sleep 30
  done
fi
slice delete --force --quiet
