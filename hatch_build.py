"""Compile the kernels of the event engine where there is a C++ compiler; without one the package installs all the same."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path("src/transpike/simulation/engines/event/native")
COMMON = ["-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-ffp-contract=off"]  # no fused sums: all builds round alike
AVX2 = ["-mavx2", "-mbmi", "-mbmi2", "-mlzcnt", "-mpopcnt"]
AVX512 = [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vbmi", "vbmi2", "vnni"))]
BUILDS = {"portable": [], "avx2": AVX2, "avx512": AVX512, "amx": [*AVX512, "-mamx-tile", "-mamx-int8"]}


def compiler() -> str | None:
    """Return the C++ compiler: what CXX names, or the first that is found."""
    wanted = os.environ.get("CXX")
    return next((found for name in ([wanted] if wanted else ["c++", "g++", "clang++"]) if (found := shutil.which(name))), None)


def stamp_of(arguments: list[str], root: Path) -> str:
    """Return what a build is made of: the sources and the command."""
    sources = sorted((root / NATIVE).glob("*.?pp"))
    words = " ".join([platform.machine(), *arguments])
    return hashlib.sha256(b"".join([words.encode(), *(source.read_bytes() for source in sources)])).hexdigest()


def compile_build(command: str, root: Path, build: str) -> str | None:
    """Compile one build, unless it is there from the same sources; return None, or what the compiler says."""
    target = root / NATIVE / f"kernels_{build}.so"
    made, kept = target.with_suffix(".new"), target.with_suffix(".stamp")
    extra = shlex.split(os.environ.get("CXXFLAGS", ""))
    arguments = [command, *COMMON, *BUILDS[build], *extra, str(root / NATIVE / "engine.cpp"), "-o", str(made)]
    stamp = stamp_of(arguments, root)
    if target.is_file() and kept.is_file() and kept.read_text() == stamp:
        return None
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    if result.returncode:
        made.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        return result.stderr.strip().splitlines()[0] if result.stderr.strip() else f"exit {result.returncode}"
    made.replace(target)
    kept.write_text(stamp)
    return None


class KernelHook(BuildHookInterface):
    """Called by the build of a wheel, editable or not."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the signature of hatchling
        root = Path(self.root)
        command = compiler()
        if command is None:
            sys.stderr.write("No C++ compiler: the event engine is left out, simulations run on the portable engine.\n")
            return
        intel = platform.machine().lower() in ("x86_64", "amd64")
        wanted = list(BUILDS) if intel else ["portable"]
        with ThreadPoolExecutor() as pool:
            errors = dict(zip(wanted, pool.map(lambda build: compile_build(command, root, build), wanted), strict=True))
        for build, error in errors.items():
            if error:
                sys.stderr.write(f"The {build} kernels were left out, the compiler says: {error}\n")
        made = [build for build, error in errors.items() if error is None]
        if made:
            build_data["pure_python"], build_data["infer_tag"] = False, True
            build_data["artifacts"] += [f"{NATIVE.as_posix()}/kernels_{build}.so" for build in made]
