"""Compiles every Triton kernel for a Hopper GPU, which needs none; a program of its own, as an
interpreted kernel cannot be compiled. Prints a line for each.
"""

import inspect
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from byol_core.networks.fused import batch_kernels, group_kernels

HOPPER = GPUTarget("cuda", 90, 32)
MAPS = {"x", "g", "y", "residual", "dx", "d_residual"}
NUMBERS = {"momentum": "fp32", "eps": "fp32"}
COUNTS = {"rows", "channels", "chunk", "parts", "sets"}


def compile_kernel(kernel, kind, constants):
    """Compile for maps of a kind; what else is a pointer points to float32."""
    names = inspect.signature(kernel.fn).parameters
    signature = {}
    for name in names:
        pointer = f"*{kind}" if name in MAPS else "*fp32"
        count = "i32" if name in COUNTS else None
        signature[name] = NUMBERS.get(name) or count or pointer
    fixed = {name: value for name, value in constants.items() if name in names}
    signature |= dict.fromkeys(fixed, "constexpr")
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed)
    binary = triton.compile(source, target=HOPPER)
    print(kernel.fn.__name__, kind, fixed, len(binary.asm["cubin"]))


def main():
    for kind, on in product(("fp32", "bf16"), (True, False)):
        follows = {"AFFINE": on, "RESIDUAL": on, "RELU": on}
        for name in ("part_moments", "normalize", "part_sums", "gradient_of_x"):
            compile_kernel(getattr(batch_kernels, name), kind, {**follows, "R": 64, "C": 64})
        for groups, width, rows in ((16, 4, 64), (1, 2048, 2)):
            sizes = {"GROUPS": groups, "WIDTH": width, "R": rows}
            for name in ("group_normalize", "group_gradient"):
                compile_kernel(getattr(group_kernels, name), kind, {**follows, **sizes})
    for name in ("whole_moments", "whole_sums"):
        compile_kernel(getattr(batch_kernels, name), "fp32", {"TRACKS": True, "P": 64, "C": 16})


if __name__ == "__main__":
    main()
