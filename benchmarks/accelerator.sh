#!/bin/bash
# Everything that benchmarks/README.md wants from one GPU, within ten minutes: JSON files in $OUT.
#
#   OUT=results DATA=DIR benchmarks/accelerator.sh
#
# Needs JAX and PyTorch that see the GPU, and no TensorFlow; DATA is ICDAR2015's folder (without it pictures are
# synthetic), WHEELS a folder of wheels that the machine lacks. Each program has a limit in seconds, and the last ones
# what is left of DEADLINE. Small sizes try it out on a CPU:
#
#   OUT=/tmp/out SIZE=64 BATCHES="2 1" DETECTION="64 96" NARROW="--width=16 --inner=64" STEPS=2 COMPILE= \
#       DTYPE=float32 CACHE=none PYTHON=.venv/bin/python benchmarks/accelerator.sh

set -u
cd "$(dirname "$0")/.." || exit
OUT=${OUT:-benchmarks/results}
PYTHON=${PYTHON:-python3}
WHEELS=${WHEELS:-}
DATA=${DATA:-}
SIZE=${SIZE:-640}
BATCHES=${BATCHES:-32 64 16}
DETECTION=${DETECTION:-736 1280}
DTYPE=${DTYPE:-bfloat16}
NARROW=${NARROW:-}
STEPS=${STEPS:-60}
CACHE=${CACHE:-device}
COMPILE=${COMPILE---compile --channels-last}
DEADLINE=${DEADLINE:-590}
mkdir -p "$OUT"
export PYTHONUNBUFFERED=1

if [ -n "$WHEELS" ]; then
    "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$OUT.packages" "$WHEELS"/*.whl || exit
    export PYTHONPATH="$OUT.packages${PYTHONPATH:+:$PYTHONPATH}"
fi
if [ -n "$DATA" ]; then
    DATA="--data=icdar2015 --dir=$DATA"
fi

# limited SECONDS PROGRAM ARGUMENTS…: what a program wrote before its time was up stays.
limited() {
    local limit=$1 left=$((DEADLINE - SECONDS)) begin=$SECONDS
    shift
    echo
    echo "== $*"
    if [ "$left" -lt 10 ]; then
        echo "== left out: no time is left"
        return
    fi
    timeout --kill-after=5 $((limit < left ? limit : left)) "$PYTHON" benchmarks/"$@"
    echo "== exit status $? after $((SECONDS - begin)) s, $SECONDS s in all"
}

# The words in $… are several arguments.
# shellcheck disable=SC2086
run_all() {
    nvidia-smi || echo "no GPU"
    for backbone in resnet18 resnet50; do
        limited $([ $backbone = resnet18 ] && echo 140 || echo 180) network.py --backbone=$backbone --size $SIZE \
            --batch $BATCHES --dtype=$DTYPE --passes training $COMPILE $NARROW --repeats=5 --json="$OUT/$backbone.json"
    done
    for backbone in resnet18 resnet50; do
        limited 75 training.py $DATA --backbone=$backbone --pixels=device --cache=$CACHE --crop=$SIZE --dtype=$DTYPE \
            --batch=${BATCHES%% *} --steps=$STEPS --repeats=3 $NARROW --json="$OUT/training_$backbone.json"
    done
    limited 75 deformable.py --size=$SIZE --batch=16 --dtype=$DTYPE --repeats=5 --json="$OUT/deformable.json"
    limited 60 network.py --backbone=resnet18 --size $DETECTION --batch 1 --dtype=$DTYPE --passes forward $COMPILE \
        $NARROW --json="$OUT/detection.json"
}

run_all 2>&1 | tee "$OUT/log.txt"
