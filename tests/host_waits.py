"""Watches for what would have the host wait for a GPU; nothing here needs one."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_READS = {
    "_local_scalar_dense",
    "item",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "unique",
    "_linalg_eigh",
    "_linalg_svd",
    "linalg_lstsq",
}


class HostWaitError(AssertionError):
    """Says that a computation reads a value from the device, or has a shape that depends on one."""


class NoHostWaits(TorchDispatchMode):
    """Refuses operations that read values, or whose shapes depend on them."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in _READS or (name in ("index", "index_put_") and has_mask(args[1])):
            raise HostWaitError(str(func))
        return func(*args, **(kwargs or {}))


def has_mask(indices):
    return any(index is not None and index.dtype == torch.bool for index in indices)
