"""Checks that the account and QOS of a spec are looked at here at all."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.doctor.finding import Finding, warn
from orchestrator.spec import Resources

_ACCOUNTS = ("associations", "limits", "safe", "all")
_QOS = ("qos", "safe", "all")
"""Words of AccountingStorageEnforce by which SLURM refuses names that it does not know."""


def check_accounts(config: Mapping[str, str], wanted: Sequence[Resources]) -> Iterator[Finding]:
    """Warn of every account or QOS that this cluster does not look at.

    Args:
        config: of `scontrol show config`.
        wanted: the different requests of a spec.
    """
    for request in wanted:
        yield from _unchecked(config, request)


def _unchecked(config: Mapping[str, str], request: Resources) -> Iterator[Finding]:
    enforced = config.get("AccountingStorageEnforce", "").lower()
    unchecked = []
    if request.account and not any(word in enforced for word in _ACCOUNTS):
        unchecked.append(f"account {request.account}")
    if request.qos and not any(word in enforced for word in _QOS):
        unchecked.append(f"qos {request.qos}")
    if unchecked:
        yield warn(
            "resources",
            f"{' and '.join(unchecked)}: this cluster takes any name "
            f"(AccountingStorageEnforce {enforced or 'not set'})",
            "make sure that it is spelled right: a wrong one is not refused, and limits nothing",
        )
