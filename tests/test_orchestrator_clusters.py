"""Resources in specs and in clusters.yaml: which value counts, and what is refused, with file and
line.
"""

import pytest

from orchestrator.errors import SpecError, UsageError
from orchestrator.spec import expand, load_sweep, resources_of
from orchestrator.spec.clusters import choose_cluster, load_clusters

PLAIN = "gpus: 0, cpus: 1, mem_gb: 1, timeout_min: 10"


@pytest.fixture
def clusters_yaml(tmp_path, monkeypatch):
    def write(text):
        file = tmp_path / "clusters.yaml"
        file.write_text(text)
        monkeypatch.setenv("SWEEP_CLUSTERS", str(file))
        return file

    return write


def asked(file, cluster, profile=None):
    sweep = load_sweep(file, profile)
    return {variant.name: resources_of(sweep, variant, cluster) for variant in expand(sweep)}


def test_layers_cluster_then_spec_then_variant(spec_file, clusters_yaml):
    clusters_yaml(
        "clusters: {big: {partition: gpu, mem_gb: 99, setup: [module load x], sbatch: {nice: 1, comment: a}}}"
    )
    varied = "mem_gb: 2, sbatch: {nice: 5}, per_variant: {no_norm: {mem_gb: 4, cpus: 3}}"
    found = asked(spec_file((PLAIN, varied)), choose_cluster(load_clusters(), "big", None))
    assert [found[name].mem_gb for name in ("byol", "no_norm")] == [2, 4]
    assert [found[name].cpus for name in ("byol", "no_norm")] == [
        4,
        3,
    ]  # the default where nobody says
    for one in found.values():
        assert (
            one.partition == "gpu"
            and one.setup == ["module load x"]
            and one.sbatch == {"nice": 5, "comment": "a"}
        )


def test_a_cluster_is_chosen_by_slurms_name_or_by_ours_or_has_no_defaults(clusters_yaml):
    clusters_yaml("clusters: {one: {account: a}, two: {account: b, max_jobs: 40}}")
    clusters = load_clusters()
    assert choose_cluster(clusters, "one", None).account == "a"
    assert choose_cluster(clusters, "one", "two").max_jobs == 40
    assert choose_cluster(clusters, "other", None).account is None
    with pytest.raises(
        UsageError, match=r"--cluster 'tow' is not in .*clusters.yaml; did you mean 'two'\?"
    ):
        choose_cluster(clusters, "one", "tow")


def test_no_file_is_no_defaults_unless_it_was_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_clusters().clusters == {}
    monkeypatch.setenv("SWEEP_CLUSTERS", str(tmp_path / "gone.yaml"))
    with pytest.raises(SpecError, match="gone.yaml: no such file"):
        load_clusters()


def test_a_profile_changes_resources_key_by_key(spec_file):
    spec = spec_file(
        ("tables: [mlp_norm]", "tables: [mlp_norm]\nprofiles: {big: {resources: {mem_gb: 64}}}")
    )
    one = asked(spec, choose_cluster(load_clusters(), None, None), "big")["byol"]
    assert (one.mem_gb, one.timeout_min) == (64, 10)


def test_a_variant_of_a_grid_has_resources_by_its_whole_name(spec_file):
    grid = (
        "  no_norm: {projector.norm: none, predictor.norm: none}\n",
        "  no_norm: {projector.norm: none, predictor.norm: none}\ngrid: {target.tau_base: [0.9, 0.99]}\n",
    )
    spec = spec_file(
        grid, (PLAIN, 'per_variant: {byol: {cpus: 2}, "byol,target.tau_base=0.9": {mem_gb: 5}}')
    )
    found = asked(spec, choose_cluster(load_clusters(), None, None))
    assert [found[f"byol,target.tau_base={tau}"].mem_gb for tau in (0.9, 0.99)] == [5, 16]
    assert [found[f"byol,target.tau_base={tau}"].cpus for tau in (0.9, 0.99)] == [4, 2]


# name: (text of resources, part of the error, a valid twin)
REFUSED = {
    "unknown key": ("mem: 4", "key 'resources.mem' does not exist; did you mean 'mem_gb'?", "mem_gb: 4"),
    "unknown key of a variant": (
        "per_variant: {byol: {cpu: 4}}",
        "key 'resources.per_variant.byol.cpu' does not exist; did you mean 'cpus'?",
        "per_variant: {byol: {cpus: 4}}",
    ),
    "unknown variant": ("per_variant: {bioyl: {}}", "no variant is called 'bioyl'; did you mean "
        "'byol'?", "per_variant: {}"),
    "line break in a setup line": (r'setup: ["a\nb"]', "is no line", 'setup: ["a; b"]'),
    "NUL in an option": (r'sbatch: {comment: "a\0"}', "is no line", "sbatch: {comment: a}"),
    "an option that we set": ("sbatch: {array: 0-3}", "it is set by --slots and runs_per_job", "sbatch: {mail-type: END}"),
    "hold": ("sbatch: {hold: true}", "it is set by the launcher", "sbatch: {exclusive: true}"),
    "an option with dashes": ("sbatch: {--nice: 3}", "write its long name without dashes", "sbatch: {nice: 3}"),
    "an option switched off": ("sbatch: {exclusive: false}", "true for an option without a value", "sbatch: {exclusive: user}"),
    "more side by side than runs": (
        "runs_per_job: 2, side_by_side: 3",
        "side_by_side: 3 are more than runs_per_job: 2",
        "runs_per_job: 3, side_by_side: 3",
    ),
    "several runs on several nodes": ("runs_per_job: 2, nodes: 2", "go with nodes: 1 and tasks: 1 only", "nodes: 2, tasks: 4"),
    "a variant's contradiction": (
        "runs_per_job: 2, per_variant: {byol: {nodes: 2}}",
        "per_variant.byol: runs_per_job: 2 go with",
        "runs_per_job: 2, per_variant: {byol: {cpus: 2}}",
    ),
    "a type of no GPU": ("gpus: 0, gpu_type: a100", "gpu_type: a100 without gpus", "gpus: 1, gpu_type: a100"),
    "a command as folder": ("data_copy: $(reboot)", "is no folder", 'data_copy: "${TMPDIR}/data"'),
    "cluster's limit in a spec": ("max_jobs: 5", "key 'resources.max_jobs' does not exist", "mem_gb: 5"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_resources_are_refused_with_file_and_line_and_their_twin_is_not(spec_file, name):
    bad, text, good = REFUSED[name]
    with pytest.raises(SpecError) as error:
        expand(load_sweep(spec_file((PLAIN, bad))))
    assert text in str(error.value) and "tiny.yaml:10: " in str(error.value)
    assert expand(load_sweep(spec_file((PLAIN, good))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "clusters:\n  a: {mem: 4}\n",
            ":2: key 'clusters.a.mem' does not exist; did you mean 'mem_gb'?",
        ),
        ("clusters:\n  a: {per_variant: {}}\n", ":2: key 'clusters.a.per_variant' does not exist"),
        ("cluster:\n  a: {}\n", ":1: key 'cluster' does not exist; did you mean 'clusters'?"),
        ("- a\n", ":1: is no mapping of keys such as `clusters:"),
        ("clusters:\n  a: {cpus: 1}\n  a: {cpus: 2}\n", 'found duplicate key "a"'),
        (
            "clusters:\n  a:\n    sbatch: {job-name: x}\n",
            ":3: clusters.a.sbatch.job-name: 'job-name' is not to be set here",
        ),
    ],
)
def test_a_bad_clusters_file_is_refused_with_file_and_line(clusters_yaml, text, said):
    file = clusters_yaml(text)
    with pytest.raises(SpecError) as error:
        load_clusters()
    assert str(error.value).startswith(str(file)) and said in str(error.value)


def test_a_contradiction_between_cluster_and_spec_names_both(spec_file, clusters_yaml):
    clusters_yaml("clusters: {a: {runs_per_job: 4}}")
    with pytest.raises(
        SpecError,
        match="tiny.yaml:10: resources, with the cluster's defaults: runs_per_job: 4 go with",
    ):
        asked(spec_file((PLAIN, "nodes: 2")), choose_cluster(load_clusters(), "a", None))
