"""--db with a URL: a PostgreSQL server of the test's own instead of a file, and URLs that are not
supported.

The server listens on loopback; as root it runs as the user `postgres` of Debian's package. Skipped
where it is not installed.
"""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest
import small_results
import sqlalchemy
from test_orchestrator_rebuild import change, content, finished_root

from analysis import load
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import rebuild, verify
from orchestrator.database.views import queries
from orchestrator.errors import StoreError, UsageError
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

PASSWORD = "quite-secret"


@pytest.fixture
def root(tmp_path, spec_file):
    return finished_root(tmp_path / "root", spec_file())


@pytest.fixture(scope="module")
def server():
    """Start a server; return the URL of it without a database's name."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (Debian, Ubuntu: apt-get install postgresql)")
    pytest.importorskip("psycopg")
    as_other = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="sweep-postgres-test-"))
    if as_other:
        shutil.chown(folder, "postgres")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    control = [
        *as_other,
        programs[-1] / "pg_ctl",
        "-D",
        folder / "data",
        "-w",
        "-l",
        folder / "log",
    ]

    def run(*command):
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60)

    run(
        *as_other,
        programs[-1] / "initdb",
        "-D",
        folder / "data",
        "-A",
        "trust",
        "-U",
        "sweep",
        "--no-sync",
    )
    run(*control, "-o", options, "start")
    yield f"postgresql+psycopg://sweep:{PASSWORD}@127.0.0.1:{port}"
    run(*control, "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def url(server, request):
    """A new, empty database."""
    name = f"test_{abs(hash(request.node.name))}"
    engine = sqlalchemy.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{server}/{name}"


def test_a_server_holds_what_a_file_holds(root, url, tmp_path):
    for db in (url, url, str(tmp_path / "results.db")):  # twice: collecting again changes nothing
        collect(root, open_database(db), Queue())
    assert content(url) == content(str(tmp_path / "results.db")) and len(content(url)) == 5
    assert verify(url, root, Queue()) == (5, [])
    assert load.runs(url).equals(load.runs(tmp_path / "results.db"))
    assert load.series("std_sqrt_d", db=url).equals(
        load.series("std_sqrt_d", db=tmp_path / "results.db")
    )


def test_a_server_has_the_views_of_a_file(url, tmp_path):
    file = small_results.make(tmp_path)
    root = Root(tmp_path / "sweep-runs")
    collect(root, open_database(url), Queue())
    answers = {}
    for db in (url, file):
        with open_database(db).connect() as connection:
            for view in queries("sqlite"):
                rows = connection.exec_driver_sql(f"SELECT * FROM {view}").mappings().all()
                answers[db, view] = sorted(map(_plain, rows))
    for view in queries("sqlite"):
        assert answers[url, view] == answers[file, view]

    rebuild(url, root, Queue())
    with open_database(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM series").scalar() == 60


def _plain(row):
    """Return a row with its numbers as numbers, whichever database wrote them as text."""
    return [(name, _number(value)) for name, value in sorted(row.items())]


def _number(value):
    try:
        return str(float(value))
    except (TypeError, ValueError):
        return str(value).replace(", ", ",")


def test_a_server_is_rebuilt_in_one_transaction_and_keeps_what_is_not_ours(root, url, monkeypatch):
    collect(root, open_database(url), Queue())
    before = content(url)
    change(url, "CREATE TABLE of_somebody_else AS SELECT 7 AS seven")
    change(url, "UPDATE evaluations SET value = 0.25")
    changed = content(url)
    with monkeypatch.context() as dying:
        dying.setattr("orchestrator.database.rebuild.collect_into", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rebuild(url, root, Queue())
    assert content(url) == changed != before
    rebuild(url, root, Queue())
    with open_database(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT seven FROM of_somebody_else").scalar() == 7
    assert content(url) == before


def test_commands_take_its_url_and_never_print_the_password(root, url, sweep):
    places = ("--root", root.path, "--db", url)
    printed = [
        sweep(*places, *command.split(), check=0)
        for command in (
            "status",
            "report --table mlp_norm --format json",
            "rebuild",
            "rebuild --verify",
            "status --json",
        )
    ]
    broken = sweep("--root", root.path, "--db", url.replace("127.0.0.1", "127.0.0.2"), "status")
    assert broken.returncode == 1 and broken.stderr.startswith(
        "error: postgresql+psycopg://sweep:***@127.0.0.2"
    )
    assert broken.stderr.count("\n") == 1
    assert all(PASSWORD not in one.stdout + one.stderr for one in [*printed, broken])
    assert "and the files hold the same" in printed[3].stdout


@pytest.mark.parametrize(
    ("db", "error"),
    [
        ("mysql+pymysql://u:quite-secret@host/name", "no such database is supported"),
        ("nonsense://host", "no such database is supported"),
        ("postgresql+asyncpg://u:quite-secret@host/name", "needs the Python package 'asyncpg'"),
        ("://", "is neither a path nor a URL"),
    ],
)
def test_other_urls_are_refused_with_what_is_allowed(db, error):
    with pytest.raises(UsageError, match=error) as caught:
        open_database(db)
    assert "postgresql+psycopg://user@host/name" in str(caught.value) and PASSWORD not in str(
        caught.value
    )


FOREIGN = {
    "MLflow's, which has such names": "CREATE TABLE runs (run_uuid TEXT); INSERT INTO runs VALUES ('precious')",
    "one with a version of its own": """CREATE TABLE meta (key TEXT, value TEXT);
        INSERT INTO meta VALUES ('schema_version', '1');
        CREATE TABLE urls (url TEXT); INSERT INTO urls VALUES ('precious')""",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(
    "action", [lambda db, root: open_database(db), lambda db, root: rebuild(db, root, Queue())]
)
def test_a_database_of_another_program_is_left_alone(root, tmp_path, content, action):
    file = tmp_path / "other.db"
    connection = sqlite3.connect(file)
    connection.executescript(content)
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match="holds the tables of another program"):
        action(str(file), root)
    assert file.read_bytes() == before
