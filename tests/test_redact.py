"""No secret is stored: each kind is planted everywhere it could slip in, and looked for in every
file that is left.
"""

import os
import re
import shlex
import string
import subprocess

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.provenance import origin
from orchestrator.provenance.checkout import Checkout
from orchestrator.provenance.redact import (
    REDACTED,
    is_secret_name,
    redact,
    redact_arguments,
    without_user,
)
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

WORD = string.ascii_letters + string.digits


def words(alphabet, low, high=None):
    return st.text(alphabet, min_size=low, max_size=high or low)


# Shapes: as their issuers document them. Names: what people call them. Both with letters that hypothesis chooses.
SHAPED = {
    "AWS": st.builds(
        "{}{}".format,
        st.sampled_from(["AKIA", "ASIA"]),
        words(string.ascii_uppercase + string.digits, 16),
    ),
    "GitHub": st.builds("gh{}_{}".format, st.sampled_from("pousr"), words(WORD, 36)),
    "GitHub, fine-grained": st.builds("github_pat_{}_{}".format, words(WORD, 22), words(WORD, 59)),
    "GitLab": st.builds("glpat-{}".format, words(WORD + "-_", 20)),
    "Hugging Face": st.builds("hf_{}".format, words(string.ascii_letters, 34)),
    "Slack": st.builds(
        "xox{}-{}-{}".format, st.sampled_from("bpas"), words(string.digits, 12), words(WORD, 24)
    ),
    "Slack webhook": st.builds(
        "hooks.slack.com/services/T{}/B{}/{}".format, *[words(WORD, 9)] * 2, words(WORD, 24)
    ),
    "JWT": st.builds("eyJ{}.eyJ{}.{}".format, *[words(WORD + "-_", 20)] * 3),
    "PEM": st.builds(
        "-----BEGIN {}PRIVATE KEY-----\n{}\n{}\n-----END".format,
        st.sampled_from(["", "RSA ", "EC ", "OPENSSH "]),
        *[words(WORD + "+/", 64)] * 2,
    ),
}
NAMES = st.sampled_from(
    [
        "password",
        "PASSWORD",
        "passwd",
        "db_password",
        "SECRET_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "aws_session_token",
        "WANDB_API_KEY",
        "apiKey",
        "HF_TOKEN",
        "client-secret",
        "SLURM_JWT",
        "token",
        "SMTP_PASS",
        "credentials",
        "private_key",
        "GITHUB_TOKEN_PROD",
        "DB_PWD",
    ]
)
PLAIN = words(WORD + "!$%*+,-./:;=?@^_~#()[]{}|", 6, 30).filter(lambda text: text[0] not in "-[")
NAMED = {
    "assigned": "{name}={secret}",
    "exported": 'export {name}="{secret} {secret}"',
    "YAML": "{name}: {secret}",
    "JSON": '{{"a": 1, "{name}": "{secret} {secret}", "b": 2}}',
    "JSON in JSON": '{{"a": "{{\\"{name}\\": \\"{secret}\\"}}"}}',
    "Python": "connect({name}='{secret}', user='me')",
    "diff": "@@ -1 +1 @@\n-{name} = old\n+{name} = '{secret}'\n",
    "option": "tool --{name} {secret} --verbose",
    "option with =": "tool --{name}={secret}",
    "query": "https://host/path?a=b&{name}={secret}&c=d",
}


@pytest.mark.parametrize("kind", SHAPED)
@given(data=st.data(), before=st.text(max_size=20), after=st.text(max_size=20))
def test_a_secret_of_a_known_shape_goes_wherever_it_stands(kind, data, before, after):
    secret = data.draw(SHAPED[kind])
    assume(not re.search(r"\w$", before))
    text = redact(f"{before}{secret} {after}")
    assert all(part not in text for part in secret.split("\n")[1:-1] or [secret])


@pytest.mark.parametrize("form", NAMED)
@given(name=NAMES, secret=PLAIN)
@example(name="password", secret="p@ss:w/rd")
def test_what_is_given_to_a_secrets_name_goes_and_the_name_stays(form, name, secret):
    assume(secret not in NAMED[form].format(name=name, secret=""))  # or it stands there anyway
    text = redact(NAMED[form].format(name=name, secret=secret))
    assert secret not in text.replace(REDACTED, "") and name in text and REDACTED in text
    assert redact(text) == text


@given(user=words(WORD, 1, 8), password=words(WORD + "!$%:@*+,;=#", 6, 20))
def test_a_url_loses_user_and_password_and_keeps_the_rest(user, password):
    url = f"https://{user}:{password}@host.example/group/repository.git"
    assert (
        redact(f"fatal: {url}: not found")
        == f"fatal: https://{REDACTED}@host.example/group/repository.git: not found"
    )
    assert without_user(url) == "https://host.example/group/repository.git"
    assert without_user(f"https://{user}@host.example/r") == "https://host.example/r"


def test_a_remote_of_ssh_loses_its_user():
    assert without_user("git@github.com:someone/byol.git") == "github.com:someone/byol.git"
    assert (
        without_user("ssh://git@github.com/someone/byol.git") == "ssh://github.com/someone/byol.git"
    )
    assert without_user("/srv/git/byol.git") == "/srv/git/byol.git"


@given(name=st.sampled_from(["--password", "--api-key", "--hf_token", "-token"]), secret=PLAIN)
def test_an_argument_behind_a_secrets_option_goes(name, secret):
    assert redact_arguments(["tool", name, secret, "--seeds", "0,1"]) == [
        "tool",
        name,
        REDACTED,
        "--seeds",
        "0,1",
    ]


def test_headers_go():
    text = redact("GET / Authorization: Basic dXNlcjpwYXNz\nauthorization: Bearer abcdef0123456789")
    assert "dXNl" not in text and "abcdef" not in text


HEX = words("0123456789abcdef", 64)


@given(run_id=HEX, commit=words("0123456789abcdef", 40))
def test_ids_and_hashes_stay_readable(run_id, commit):
    for text in (
        f"run {run_id} at commit {commit} (dirty)",
        f'{{"sha256": {{"state.pt": "{run_id}"}}, "commit": "{commit}"}}',
        f"sweep-runs/runs/{run_id}/attempts/0001/events.jsonl: No space left on device",
        f"key sweep-20261121-091640-{commit[:8]} run_id={run_id}",
    ):
        assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: batch_size 512 is larger than the 256 training images",
        "sweep launch sweeps/norm_ablation.yaml --profile quick --set optimizer.lr=0.5 --seeds 0,1,2",
        "max_tokens=1024, tokenizer=bert, n_keys: 3, key=optimizer.lr, author: someone, forward_pass=2",
        "diff --git a/byol_core/loss.py b/byol_core/loss.py\nindex 1f63708..3924f29 100644",
        "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 78.00 GiB total)",
        "https://arxiv.org/abs/2010.10241 and someone@example.org",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert redact(text) == text


def test_a_long_line_takes_no_more_than_its_length():
    for text in ("token" * 200_000, "a" * 1_000_000, "://" * 300_000, "password: " * 100_000):
        redact(text)


# In place: everything planted at once, then every byte that is left is searched.

SECRETS = {
    "ghp_" + "A1b2C3d4E5" * 4: "GitHub",
    "AKIA" + "QWERTYUIOP123456": "AWS",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "AWS_SECRET_ACCESS_KEY",
    "hf_" + "abcDEFghiJKLmnoPQRstuVWXyzABCDefgh": "Hugging Face",
    "0123456789abcdef0123456789abcdef01234567": "WANDB_API_KEY",
    "xoxb-123456789012-abcdefghijklmnopqrstuvwx": "Slack",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlc2lnbmF0dXJl": "SLURM_JWT",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj": "PEM",
    "correct-horse-battery": "password",
    "userpart:passpart": "URL",
}
GITHUB, AWS, AWS_SECRET, HF, WANDB, SLACK, JWT, PEM, PASSWORD, USER = SECRETS
PLANTED = {
    "GH_PAT": GITHUB,
    "AWS_ACCESS_KEY_ID": AWS,
    "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
    "HF_TOKEN": HF,
    "WANDB_API_KEY": WANDB,
    "SLACK_BOT": SLACK,
    "SLURM_JWT": JWT,
    "SLURM_JOB_COMMENT": f"notify {SLACK}",
    "TLS": f"-----BEGIN PRIVATE KEY-----\n{PEM}\n-----END PRIVATE KEY-----",
    "DATABASE": f"postgresql://{USER}@db.example/results",
    "CUDA_VISIBLE_DEVICES": "",
    "SLURM_JOB_PARTITION": "gpu",
}
EVERYTHING = "\n".join(
    [*(f"{name}={value}" for name, value in PLANTED.items()), f"--password {PASSWORD}"]
)


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Secrets in environment, command line, remote and uncommitted code of a checkout."""
    checkout = tmp_path / "checkout"
    (checkout / "byol_core").mkdir(parents=True)
    (checkout / "byol_core" / "train.py").write_text("steps = 1\n")
    for command in (
        "init -q",
        "add .",
        "-c user.name=a -c user.email=a@b commit -qm start",
        f"remote add origin https://{USER}@git.example/group/byol.git",
    ):
        subprocess.run(["git", "-C", checkout, *shlex.split(command)], check=True)
    (checkout / "byol_core" / "train.py").write_text(f"steps = 2\n{EVERYTHING}\n")
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "sys.argv", ["sweep", "launch", "--password", PASSWORD, f"--set=x={GITHUB}"]
    )
    monkeypatch.setattr(origin, "_CHECKOUT", checkout)
    return checkout


def test_what_is_recorded_says_enough_without_a_secret(planted, tmp_path):
    facts = origin.gather_origin(Root(tmp_path))
    assert facts["remote"] == "https://git.example/group/byol.git" and facts["dirty"] is True
    assert facts["arguments"] == ["sweep", "launch", "--password", REDACTED, f"--set=x={REDACTED}"]
    assert (
        facts["environment"]["SLURM_JOB_PARTITION"] == "gpu"
        and facts["environment"]["CUDA_VISIBLE_DEVICES"] == ""
    )
    assert facts["environment"]["SLURM_JOB_COMMENT"] == f"notify {REDACTED}"
    allowed = origin._RECORDED | {name for name in os.environ if name.startswith("SLURM_")} - {
        "SLURM_JWT"
    }
    assert set(facts["environment"]) <= allowed and len(facts["commit"]) == 40
    assert is_secret_name("SLURM_JWT") and not is_secret_name("SLURM_JOB_ID")


def changes(folder):
    checkout = Checkout(folder)
    return checkout.diff(checkout.status())


def test_the_diff_is_kept_without_secrets_and_says_where_it_was_cut(planted):
    diff = changes(planted).decode()
    assert (
        "+steps = 2" in diff
        and "-steps = 1" in diff
        and not [secret for secret in SECRETS if secret in diff]
    )
    (planted / "byol_core" / "train.py").write_text("a = 1\n" * 200_000)
    diff = changes(planted)
    assert len(diff) < (256 << 10) + 100 and re.search(
        rb"\[cut here: 1,[\d,]+ characters in all\]", diff
    )


def test_a_failure_full_of_secrets_leaves_none_in_root_database_export_or_report(
    planted, spec_file, tmp_path, monkeypatch, capfd
):
    seen = {}

    def explode(*arguments):
        observer = arguments[3]
        observer.started(0, 4, True)
        seen.update(os.environ)
        raise RuntimeError(f"cannot log in:\n{EVERYTHING}")

    monkeypatch.setattr("byol_core.train.train", explode)
    root = Root(tmp_path / "root")
    root.create()
    write_plan(make_plan(load_sweep(spec_file()), root, Selection(), Queue()), root)
    run = root.runs()[0]
    assert (
        run_attempt(root.path, run.run_id, AttemptContext("inline", capture=False), lambda: None)
        == State.FAILED
    )
    assert "RuntimeError: cannot log in" in standing(run, Queue()).reason
    (root.path / "printed").write_text("".join(capfd.readouterr()))
    assert {
        name: seen[name] for name in PLANTED
    } == PLANTED  # the job itself still has its whole environment

    db = tmp_path / "results.db"
    engine = open_database(str(db))
    collect(root, engine, Queue())
    publish(db, root.path)
    engine.dispose()
    files = [
        path for path in (*root.path.rglob("*"), *tmp_path.glob("results.db*")) if path.is_file()
    ]
    assert len(files) > 20 and any(path.suffix == ".diff" for path in files)
    found = [
        (kind, path)
        for path in files
        for secret, kind in SECRETS.items()
        if secret.encode() in path.read_bytes()
    ]
    assert found == []


def publish(db, folder):
    """Write every export and every report of a database into a folder."""
    from analysis.export import files
    from analysis.formats import TEXT_FORMATS, Layout
    from analysis.report import report

    for name in set(files.FORMATS) - {
        "parquet"
    }:  # compressed: a search would not see what it holds
        files.export(str(db), folder / name, name)
    for name, render in TEXT_FORMATS.items():
        text = render(report(str(db), "mlp_norm"), Layout())
        (folder / f"report.{name}").write_text(text)


def test_a_gpu_is_recorded_with_its_driver_and_libraries(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 570.86.15'\necho 'NVIDIA H100 80GB HBM3, 570.86.15'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    remembered = (origin.gpus, origin.listed_gpus)
    for known in remembered:
        known.cache_clear()
    found = origin.gpus()
    for known in remembered:
        known.cache_clear()
    assert found["names"] == ["NVIDIA H100 80GB HBM3"] * 2 and found["driver"] == "570.86.15"
    assert {"cuda", "cudnn"} <= set(found)
