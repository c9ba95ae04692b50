"""The public names, which `dbnet_jax` imports when they are first used."""

import subprocess
import sys

import pytest

import dbnet_jax
from tests.helpers.paths import ROOT


@pytest.mark.parametrize("name", dbnet_jax.__all__)
def test_every_public_name_is_the_one_of_its_module(name):
    value = getattr(dbnet_jax, name)
    assert value.__name__ == name
    home = value.__module__.split(".")
    assert home[0] == "dbnet_jax"


def test_the_package_alone_takes_neither_jax_nor_tensorflow():
    script = (
        "import sys, dbnet_jax, dbnet_jax.geometry; print(sorted({'jax', 'flax', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
    with pytest.raises(AttributeError, match="detecter"):
        dbnet_jax.detecter  # noqa: B018
