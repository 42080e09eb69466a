"""Takes secrets out of text before it is stored: by shape, by name, by their place in a URL.

What is stored is read by others: reasons of failures, tracebacks, diffs, command lines. Ids are no
secrets: sha256, commit hashes and run ids stay as they are. When in doubt more goes than must: a
stored text explains, nothing is computed from it.
"""

import re
from collections.abc import Sequence

REDACTED = "[redacted]"

_SHAPES = {
    "PEM private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?"
    r"(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "AWS key id": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    "GitHub": r"\b(?:gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{22,})",
    "GitLab": r"\bglpat-[\w-]{20,}",
    "Hugging Face": r"\bhf_[A-Za-z0-9]{20,}",
    "W&B": r"\bwandb_v\d_\w{20,}",
    "Slack": r"\bxox[a-z]-[\w-]{10,}|hooks\.slack\.com/services/[\w/]+",
    "Google": r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,}",
    "model providers": r"\bsk-[\w-]{20,}",
    "package registries": r"\bnpm_[A-Za-z0-9]{36}|\bpypi-[\w-]{50,}",
    "JSON web token": r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",
}
_SHAPE = re.compile("|".join(f"(?:{shape})" for shape in _SHAPES.values()), re.DOTALL)

_NAME = (
    r"(?:passw(?:or)?ds?|passphrase|secrets?|token|credentials?"
    r"|(?:api|access|private|account|signing)[_-]?key|jwt|[_-]pwd"
    r"|(?-i:_PASS|_AUTH|_KEY))(?:[_.\-\d][\w.-]{0,40})?"
)
"""What secrets are called, at the end of a name or before a further part of it: `max_tokens` and
`tokenizer` are not.
"""
_NOT_YET = rf"(?!{re.escape(REDACTED)})"
_QUOTED = r"""(?P<quote>\\*["']).*?(?P=quote)"""
_GIVEN = re.compile(
    rf"""({_NAME}(?:\\*["'])?\s{{0,3}}[=:]\s{{0,3}}){_NOT_YET}(?:{_QUOTED}|[^\s&]+)""",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"""(-[\w-]{{0,40}}{_NAME}\s+){_NOT_YET}(?:{_QUOTED}|\S+)""", re.IGNORECASE)
_OPTION_ALONE = re.compile(rf"--?[\w-]*{_NAME}", re.IGNORECASE)
_HEADER = re.compile(r"""(authorization\W{1,6}(?:\w+\s+)?|bearer\s+)[^\s"']{8,}""", re.IGNORECASE)
_USER_INFO = re.compile(r"""(?<=://)[^\s/'"<>]+@""")
_SIGNED = re.compile(r"([?&][\w-]*(?:sig|signature|key|auth|code)=)[^&\s]+", re.IGNORECASE)
_SCP_USER = re.compile(r"^[^@/:]+@(?=[^/]+:)")
_ENVIRONMENT_NAME = re.compile("TOKEN|SECRET|KEY|PASS|CRED|JWT|AUTH")


def redact(text: str) -> str:
    """Return `text` with `REDACTED` where a secret stood; the names of secrets stay.

    Doing it twice changes nothing more.
    """
    text = _SHAPE.sub(REDACTED, text)
    text = _USER_INFO.sub(f"{REDACTED}@", text)
    for pattern in (_HEADER, _GIVEN, _OPTION, _SIGNED):
        text = pattern.sub(rf"\1{REDACTED}", text)
    return text


def redact_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command line without secrets, also where one stands behind ``--password``."""
    redacted = []
    before = ""
    for argument in arguments:
        if _OPTION_ALONE.fullmatch(before):
            redacted.append(REDACTED)
        else:
            redacted.append(redact(argument))
        before = argument
    return redacted


def without_user(url: str) -> str:
    """Return the URL of a git remote without user and password; it may be ``git@host:path`` too."""
    return redact(_SCP_USER.sub("", _USER_INFO.sub("", url)))


def is_secret_name(variable: str) -> bool:
    """Tell whether an environment variable looks as if it held a secret, from its name."""
    return _ENVIRONMENT_NAME.search(variable.upper()) is not None
