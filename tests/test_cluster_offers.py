"""What a cluster cannot give a job is told before it waits for ever: by doctor, by launch, and in
what a refusal says; and each limit on the number of jobs counts under its own name.
"""

import pytest
from rich.console import Console

from orchestrator.doctor.examine import Subject, examine
from orchestrator.launch.progress import LaunchView
from orchestrator.slurm import features
from orchestrator.slurm.commands import ask
from orchestrator.slurm.limits import Charge, ask_controller, ask_room
from orchestrator.slurm.nodes import host_names, out_of_service, read_nodes, unfit
from orchestrator.slurm.partitions import read_settings
from orchestrator.slurm.qos import beyond_qos, read_qos_rules
from orchestrator.slurm.refusals import advice
from orchestrator.spec import Resources, load_sweep
from orchestrator.status.sweep_status import RunStatus, SweepStatus
from orchestrator.store.state import State

pytestmark = pytest.mark.slow


def told(**wanted):
    """Return what the cluster cannot give."""
    return unfit(Resources(**wanted), read_nodes(), read_settings())


def findings(root, file, tmp_path):
    root.create()
    topics = examine(Subject(root, str(tmp_path / "results.db"), load_sweep(file)))
    return [one for one in dict(topics)["SLURM"] if one.name == "resources"]


def asking(spec_file, text):
    """Return a spec whose jobs ask for this too."""
    return spec_file(("timeout_min: 10", f"timeout_min: 10, {text}"))


# Each wish alone, all together, and in several partitions


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"gpus": 9}, "gpus 9: a node of partition debug has 4"),
        ({"cpus": 99}, "cpus 99: a node of partition debug has at most 8"),
        ({"cpus": 3, "tasks": 3}, "cpus 3 x tasks 3: a node of partition debug has at most 8"),
        ({"mem_gb": 900}, "mem_gb 900: a node of partition debug has at most 62"),
        ({"nodes": 3}, "nodes 3: partition debug has 1"),
        ({"gpu_type": "a100"}, "gpu_type a100: nodes of partition debug have none"),
        ({"constraint": "ssd"}, "constraint ssd: nodes of partition debug have avx, ib"),
        ({"constraint": "avx&!ib"}, "constraint avx&!ib: nodes of partition debug have avx, ib"),
        ({"exclude": "fake[1-3]"}, "exclude fake[1-3]: leaves no node of partition debug"),
        ({"nodelist": "other"}, "nodelist other: leaves no node of partition debug"),
    ],
)
def test_what_no_node_has_is_named_with_what_it_has(fake_slurm, wanted, text):
    fake_slurm.set(node={"f": "avx,ib"})
    (found,) = told(**wanted)
    assert found.startswith(f"resources.{text}")


@pytest.mark.parametrize(
    "wanted",
    [
        {"gpus": 4, "cpus": 8, "mem_gb": 62, "nodes": 2},
        {"constraint": "avx&ib"},
        {"constraint": "ib|rare"},  # which only the other partition has
        {"constraint": "[rack1*1&ib*2]"},
        {"exclude": "fake1", "nodelist": "fake2"},
        {"nodelist": "fake2", "nodes": 2},
        {"gpus": 8, "partition": "debug,high"},
        {"partition": "unheard"},  # of which nobody knows
    ],
)
def test_what_fits_is_let_pass(fake_slurm, wanted):
    high = {"f": "rare,rack1", "G": "gpu:8"}
    fake_slurm.set(node={"f": "avx,ib", "D": "2"}, nodes_of={"high": high})
    assert told(**wanted) == []


def test_nodes_that_have_each_wish_but_not_all_are_seen(fake_slurm, monkeypatch):
    lines = "mix*|big|idle|64|64000|(null)|(null)\nmix*|gpu|idle|8|64000|gpu:4|(null)\n"
    monkeypatch.setattr("orchestrator.slurm.nodes.ask", lambda *_: lines)
    nodes = read_nodes()
    assert unfit(Resources(gpus=4), nodes) == unfit(Resources(gpus=0, cpus=64), nodes) == []
    (found,) = unfit(Resources(gpus=1, cpus=64), nodes)
    assert "cpus 64, mem_gb 16, gpus 1: no node of partition mix has all of these" in found
    (found,) = unfit(Resources(gpus=1, nodes=2), nodes)
    assert "nodes 2: partition mix has 1 that can take the job" in found


@pytest.mark.parametrize(
    ("settings", "wanted", "text"),
    [
        ({"MaxTime": "1-00:00:00"}, {"timeout_min": 1441}, "timeout_min 1441: partition debug"),
        ({"MaxNodes": "1"}, {"nodes": 2}, "nodes 2: partition debug allows at most 1 (MaxNodes)"),
        ({"MinNodes": "2"}, {}, "nodes 1: partition debug wants at least 2 (MinNodes)"),
        ({"MaxMemPerNode": "2048"}, {"mem_gb": 3}, "mem_gb 3: partition debug allows at most 2 ("),
        ({"MaxCPUsPerNode": "2"}, {"cpus": 3}, "cpus 3: partition debug allows at most 2 (Max"),
        ({"AllowAccounts": "a,b"}, {"account": "lab"}, "account lab: partition debug takes a, b"),
        ({"DenyAccounts": "lab"}, {"account": "lab"}, "account lab: partition debug does not"),
        ({"AllowQos": "gold"}, {"qos": "normal"}, "qos normal: partition debug takes gold"),
        ({"AllowGroups": "no_such"}, {}, "partition: partition debug is for groups no_such alone"),
        ({"ReqResv": "YES"}, {}, "reservation not set: partition debug wants one"),
        ({"Nodes": "(null)"}, {}, "partition: partition debug has no nodes"),
    ],
)
def test_what_a_partition_does_not_allow_is_named(fake_slurm, settings, wanted, text):
    fake_slurm.set(node={"D": "3"}, partition={"debug": settings})
    wanted = {"mem_gb": 1, "cpus": 1, **wanted}
    (found,) = told(**wanted)
    assert found.startswith(f"resources.{text}")
    assert told(**wanted, partition="high") == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"node": {"T": "drained*", "D": "2"}}, "of 2 nodes of partition debug that fit, 0 take"),
        ({"partition": {"debug": {"State": "DOWN"}}}, "partition debug is down: it takes jobs"),
        ({"partition": {"debug": {"State": "INACTIVE"}}}, "partition debug takes no jobs now"),
    ],
)
def test_a_cluster_that_starts_nothing_now_is_a_warning(
    root, spec_file, fake_slurm, tmp_path, change, text
):
    fake_slurm.set(**change)
    (found,) = findings(root, spec_file(), tmp_path)
    assert found.level == "warn" and text in found.observed and "ask your site" in found.fix


def test_one_node_or_partition_that_works_is_enough(fake_slurm):
    fake_slurm.set(partition={"debug": {"State": "DRAIN"}})
    nodes, settings = read_nodes(), read_settings()
    assert out_of_service(Resources(partition="debug,high"), nodes, settings) is None
    assert "takes no more jobs" in out_of_service(Resources(), nodes, settings)


def test_the_doctor_names_the_partition_that_would_take_the_request(
    root, spec_file, fake_slurm, tmp_path
):
    fake_slurm.set(nodes_of={"high": {"G": "gpu:16"}})
    (found,) = findings(root, spec_file(("gpus: 0", "gpus: 9")), tmp_path)
    assert found.level == "fail" and "a node of partition debug has 4" in found.observed
    assert "it would fit partition high" in found.fix


@pytest.mark.parametrize(
    ("constraint", "met"),
    [
        ("a", True),
        ("c", False),
        ("a&b", True),
        ("a&c", False),
        ("c|a", True),
        ("c|d", False),
        ("(c|a)&b", True),
        ("(c|d)&b", False),
        ("c&d|a", True),
        ("!c", True),
        ("a&!b", False),
        ("[c*2&a*4]", True),
        ("", True),
        ("a&(", True),
    ],
)
def test_a_constraint_is_read_as_slurm_reads_it(constraint, met):
    assert features.is_met(constraint, {"a", "b"}) is met


def test_a_list_of_hosts_is_read_with_its_ranges():
    assert host_names("n[01-03,7],login,r[1-2]c[1,3]x") == {
        *("n01", "n02", "n03", "n7", "login"),
        *("r1c1x", "r1c3x", "r2c1x", "r2c3x"),
    }
    assert host_names("") == set()


# How many jobs go out at once


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"assoc": {"MaxSubmitJobs": 3}}, "MaxSubmitJobs of account lab is 3"),
        ({"assoc": {"GrpSubmitJobs": 3}}, "your GrpSubmitJobs of account lab is 3"),
        ({"accounts": {"lab": {"GrpSubmitJobs": 3}}}, "GrpSubmitJobs of account lab is 3"),
        (
            {"accounts": {"root": {"GrpSubmitJobs": 3}, "lab": {"ParentName": "root"}}},
            "GrpSubmitJobs of account root is 3",
        ),
        (
            {"qos": {"normal": {"MaxSubmitJobsPU": 3}}},
            "MaxSubmitJobsPerUser of QOS normal is 3",
        ),
        (
            {"qos": {"normal": {"MaxSubmitJobsPA": 3}}},
            "MaxSubmitJobsPerAccount of QOS normal is 3",
        ),
        ({"qos": {"normal": {"GrpSubmitJobs": 3}}}, "GrpSubmitJobs of QOS normal is 3"),
        (
            {
                "qos": {"normal": {"MaxSubmitJobsPU": 2}, "part": {"MaxSubmitJobsPU": 3}},
                "partition": {"debug": {"QoS": "part"}},
            },
            "MaxSubmitJobsPerUser of QOS part, that of partition debug is 3",
        ),
        (
            {
                "qos": {
                    "normal": {"MaxSubmitJobsPU": 3, "Flags": "OverPartQOS"},
                    "part": {"MaxSubmitJobsPU": 2},
                },
                "partition": {"debug": {"QoS": "part"}},
            },
            "MaxSubmitJobsPerUser of QOS normal is 3",
        ),
        (
            {"assoc": {"MaxSubmitJobs": 2}, "qos": {"normal": {"MaxSubmitJobsPU": 3}}},
            "MaxSubmitJobsPerUser of QOS normal is 3",  # which goes before the association's
        ),
        ({"MaxJobCount": 3}, "MaxJobCount of the cluster is 3"),
    ],
)
def test_each_limit_holds_jobs_back_under_its_own_name(fake_slurm, settings, limit):
    fake_slurm.set(**settings)
    room = ask_room(ask_controller(), None)
    assert [room.take(Charge(None, None)) for _ in range(4)] == [None, None, None, limit]


@pytest.mark.parametrize(
    "settings",
    [
        {"assoc": {"MaxJobs": 1, "GrpJobs": 1}},  # of what runs
        {"accounts": {"other": {"GrpSubmitJobs": 1}, "lab": {"ParentName": "root"}}},
        {"qos": {"normal": {}, "gold": {"MaxSubmitJobsPU": 1}}},
        {"qos": {"part": {"GrpSubmitJobs": 1}}, "partition": {"high": {"QoS": "part"}}},
        {"assoc": {"MaxSubmitJobs": 1}, "config": {"AccountingStorageEnforce": "associations,qos"}},
    ],
)
def test_a_limit_of_something_else_holds_nothing_back(fake_slurm, settings):
    fake_slurm.set(**settings)
    room = ask_room(ask_controller(), None)
    assert {room.take(Charge(None, None)) for _ in range(9)} == {None}


def test_jobs_of_others_count_where_a_group_shares_the_limit(fake_slurm, monkeypatch):
    fake_slurm.set(accounts={"lab": {"GrpSubmitJobs": 3}})
    monkeypatch.setenv("USER", "somebody_else")
    ask("sbatch", "--array=0-1", "--account=lab", "--wrap", "true")
    monkeypatch.setenv("USER", "me")
    room = ask_room(ask_controller(), None)
    assert room.take(Charge("lab", None)) is None
    assert room.take(Charge("lab", None)) == "GrpSubmitJobs of account lab is 3"


def test_a_launch_fills_a_group_limit_and_says_whose_it_is(fake_slurm, sweep, spec_file):
    fake_slurm.set(accounts={"lab": {"GrpSubmitJobs": 3}})
    done = sweep("launch", spec_file(), "--executor", "slurm", check=0)
    assert "submitted 3 jobs" in done.stdout
    assert "1 run not submitted yet (GrpSubmitJobs of account lab is 3)" in done.stdout


# Refusals, in the words of SLURM 22.05


LIMIT = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


@pytest.mark.parametrize(
    ("words", "asked", "advised"),
    [
        (
            "Required partition not available (inactive or drain)",
            {"partition": "high"},
            "resources.partition (high); partition here: debug",
        ),
        ("Access/permission denied", {}, "resources.partition (not set) or account (not set)"),
        ("Memory required by task is not available", {"mem_gb": 99}, "resources.mem_gb (99)"),
        ("Requested reservation is invalid", {"reservation": "x"}, "reservation here: spring"),
        ("Access denied to requested reservation", {"reservation": "x"}, "reservation (x)"),
        ("Invalid license specification", {"sbatch": {"licenses": "a"}}, "sbatch (licenses: a)"),
        ("Invalid --mail-type specification", {"sbatch": {"mail-type": "X"}}, "(mail-type: X)"),
        ("Invalid preferred feature specification", {}, "resources.sbatch"),
        ("Invalid node name specified", {"nodelist": "x"}, "nodelist here: fake1"),
        ("Invalid generic resource (gres) specification", {"gpu_type": "b"}, "gpu_type here: a100"),
        ("More processors requested than permitted", {"cpus": 99}, "cpus 99: a node of partition"),
        ("Invalid job array specification", {}, "takes no job arrays (MaxArraySize"),
        (f"QOSMaxWallDurationPerJobLimit; {LIMIT}", {}, "lower resources.timeout_min"),
        (f"QOSMaxGRESPerJob; {LIMIT}", {}, "lower resources.gpus"),
    ],
)
def test_a_refusal_that_comes_again_says_what_to_change(fake_slurm, words, asked, advised):
    reservation = "ReservationName=spring StartTime=0 Duration=02:00:00 State=ACTIVE"
    fake_slurm.set(node={"G": "gpu:a100:4", "a": "up"}, reservations=[reservation])
    fake_slurm.set(nodes_of={"high": {"a": "drain"}})
    assert advised in advice(f"sbatch refused: {words}", Resources(**asked))


@pytest.mark.parametrize("word", ["AssocGrpSubmitJobsLimit", "QOSMaxSubmitJobPerUserLimit"])
def test_a_refusal_that_passes_asks_for_no_change(word):
    assert advice(f"sbatch refused: {word}; {LIMIT}", Resources()) is None


def test_a_launch_warns_of_jobs_that_no_node_can_run(fake_slurm, sweep, spec_file):
    done = sweep("launch", spec_file(("gpus: 0", "gpus: 9")), "--executor", "slurm", "--dry-run")
    assert "warning: resources.gpus 9: a node of partition debug has 4" in done.stdout
    fine = sweep("launch", spec_file(), "--executor", "slurm", "--dry-run")
    assert "warning" not in fine.stdout


CAPS = {
    "MaxTRES": "cpu=4,mem=2G,node=1",
    "MaxTRESPU": "gres/gpu=1,billing=7",
    "MaxWall": "00:30:00",
}


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"gpus": 2}, "gpus 2: QOS normal allows 1 for a user"),
        (
            {"gpus": 1, "nodes": 2, "cpus": 1, "mem_gb": 1},
            "gpus 1 x nodes 2: QOS normal allows 1 for a user",
        ),
        ({"cpus": 5}, "cpus 5: QOS normal allows 4 for a job"),
        ({"mem_gb": 3}, "mem_gb 3: QOS normal allows 2 for a job"),
        ({"nodes": 2, "gpus": 0, "cpus": 2, "mem_gb": 1}, "nodes 2: QOS normal allows 1 for a job"),
        ({"timeout_min": 31}, "timeout_min 31: QOS normal allows 30 for a job"),
    ],
)
def test_what_a_qos_never_gives_is_named_with_what_it_gives(fake_slurm, wanted, text):
    fake_slurm.set(qos={"normal": CAPS, "wide": {}})
    fits = {"gpus": 1, "cpus": 4, "mem_gb": 2, "nodes": 1, "timeout_min": 30}
    rules = read_qos_rules()
    assert f"resources.{text}" in beyond_qos(Resources(**{**fits, **wanted}), rules)
    assert beyond_qos(Resources(**fits), rules) == []
    assert beyond_qos(Resources(**{**fits, **wanted}, qos="wide"), rules) == []


def test_doctor_and_launch_name_what_a_qos_never_gives(
    fake_slurm, sweep, spec_file, tmp_path, root
):
    fake_slurm.set(qos={"normal": CAPS})
    file = spec_file(("gpus: 0", "gpus: 2"))
    (found,) = findings(root, file, tmp_path)
    assert found.observed == "resources.gpus 2: QOS normal allows 1 for a user"
    assert "use another resources.qos" in found.fix
    done = sweep("launch", file, "--executor", "slurm", "--dry-run", check=0)
    assert "warning: resources.gpus 2: QOS normal allows 1 for a user" in done.stdout


def test_caps_that_nobody_enforces_or_tells_are_none(fake_slurm):
    fake_slurm.set(qos={"normal": CAPS})
    fake_slurm.fail("sacctmgr", stderr="sacctmgr: error: slurmdbd is down", times=9)
    assert beyond_qos(Resources(gpus=2), read_qos_rules()) == []


def test_a_launch_that_waits_says_once_why_its_jobs_wait(capsys):
    view = LaunchView(Console(width=200), "tiny", None, None)
    runs = [RunStatus("ab" * 32, "byol", 0, State.SUBMITTED, queue_reason="PartitionNodeLimit")]
    for _ in range(2):
        view._explain_waiting(SweepStatus("tiny", 0.0, runs=runs))
    assert capsys.readouterr().out.count("asks for more nodes than its partition allows") == 1
