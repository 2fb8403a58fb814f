"""No name is two things: what a package exports never hides one of its modules."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import transpike


def packages():
    names = [module.name for module in pkgutil.walk_packages(transpike.__path__, "transpike.") if module.ispkg]
    return [transpike, *map(importlib.import_module, names)]


def test_exports_do_not_hide_modules():
    hidden = [
        f"{package.__name__}.{module.name}"
        for package in packages()
        for module in pkgutil.iter_modules(package.__path__)
        if not isinstance(getattr(package, module.name, transpike), ModuleType)
    ]
    assert hidden == []
