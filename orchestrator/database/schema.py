"""Declares the tables of results.db: the contract between the collector and all readers.

The database is an index of the run folders and can be made again from them. Times are seconds since
1970; fractions are in [0, 1]; JSON columns hold text. A value that is not finite is stored as null
with its name in `non_finite`. The columns called `state` hold the words of `State`.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from orchestrator.store.state import State as State  # handed on to all that read the tables

VERSION = 7

metadata = MetaData()

meta = Table(
    "meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False)
)

roots = Table(
    "roots",
    metadata,
    Column("path", Text, primary_key=True),
    Column("slurm_answered_at", Float, comment="null: never, or not asked"),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("label", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("profile", Text),
    Column("overrides", Text, nullable=False, comment="JSON: of --set"),
    Column("question", Text, nullable=False),
    Column("baseline", Text, nullable=False, comment="JSON: a variant's name, or overrides"),
    Column("tables", Text, nullable=False, comment="JSON list"),
    Column("seeds", Text, comment="JSON list: the spec's; null: of an older plan, not recorded"),
    Column("semantics", Integer, comment="of the launch; null: of an older plan, not recorded"),
    Column("launched_at", Float, nullable=False),
    Column("launched_by", Text, comment="a user's name; null: not recorded"),
    Column("tags", Text, nullable=False, default="[]", comment="JSON list"),
    Column("forgotten_at", Float, comment="null: it shows, and asks for its runs"),
    UniqueConstraint("root", "label"),
)

variants = Table(
    "variants",
    metadata,
    Column("sweep_id", ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("overrides", Text, nullable=False, comment="JSON"),
    Column("config", Text, nullable=False, comment="JSON: canonical, dotted keys, without seed"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_number", Integer, primary_key=True),
    Column("run_id", Text, unique=True, nullable=False),
    Column("root", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("config", Text, nullable=False, comment="JSON: canonical, dotted keys"),
    Column("data_fingerprint", Text, nullable=False),
    Column("data_split", Text, nullable=False),
    Column("semantics", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("held_back", Text, comment="why no launch tries it again unasked; null: one does"),
    Column("outcome", Text, comment="ok or diverged, of a COMPLETED run"),
    Column("attempt", Integer, nullable=False, comment="the highest; it alone counts"),
    Column("job_id", Text, comment="its job in the queue, if there is one"),
    Column("queue_reason", Text, comment="SLURM's word for why that job waits"),
    Column("node", Text, comment="where that job runs"),
    Column("submitted_at", Float),
    Column("step", Integer),
    Column("total_steps", Integer),
    Column("wall_s", Float),
    Column("test_images", Integer, comment="that its accuracies are of; null: not recorded"),
    Column("disk_bytes", Integer, comment="kept by a COMPLETED run"),
    Column("planned_at", Float, nullable=False),
    Column("tags", Text, nullable=False, default="[]", comment="JSON list"),
    Column("excluded", Text, comment="why people left it out of tables; null: they did not"),
    Column("stamp", Text, nullable=False, comment="of the folder, when last collected"),
    Index("runs_by_state", "state"),
)

sweep_runs = Table(
    "sweep_runs",
    metadata,
    Column("sweep_id", ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True),
    Column("variant", Text, primary_key=True),
    Column("seed", Integer, primary_key=True),
    Column(
        "run_id",
        Text,
        nullable=False,
        comment="several variants may share one; not in `runs` before it is launched",
    ),
    Index("sweep_runs_by_run", "run_id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_number", ForeignKey("runs.run_number", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("executor", Text),
    Column("job_id", Text),
    Column("host", Text),
    Column("user", Text, comment="a user's name; null: not recorded"),
    Column("device", Text),
    Column(
        "gpus", Float, comment="held; a share where several runs have one GPU; null: no job told"
    ),
    Column("claimed_at", Float),
    Column("last_at", Float, comment="of the newest record"),
    Column("ended_at", Float),
    Column("state", Text),
    Column("reason", Text),
    Column("first_step", Integer),
    Column("last_step", Integer),
    Column("exact", Boolean, comment="false: resumed on another machine or version"),
    Column("origin", Text, comment="JSON: commit, versions, machine"),
    Column("images_per_s", Float),
    Column(
        "events_segment", Integer, nullable=False, comment="of its event log; collected up to there"
    ),
    Column("events_offset", Integer, nullable=False, comment="… and to this byte of it"),
    Column("skipped_lines", Integer, nullable=False),
)

metrics = Table(
    "metrics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, unique=True, nullable=False),
)

points = Table(
    "points",
    metadata,
    Column("run_number", ForeignKey("runs.run_number", ondelete="CASCADE"), primary_key=True),
    Column("metric", ForeignKey("metrics.id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("value", Float),
    Column("non_finite", Text, comment="nan, inf or -inf"),
    sqlite_with_rowid=False,
)

summaries = Table(
    "summaries",
    metadata,
    Column("run_number", ForeignKey("runs.run_number", ondelete="CASCADE"), primary_key=True),
    Column(
        "moment",
        Text,
        primary_key=True,
        comment="initial: before the first update; final: mean over the last epoch",
    ),
    Column("name", Text, primary_key=True),
    Column("value", Float),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("run_number", ForeignKey("runs.run_number", ondelete="CASCADE"), primary_key=True),
    Column("protocol", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("network", Text, primary_key=True, comment="online or target"),
    Column("name", Text, primary_key=True),
    Column("value", Float),
)

annotations = Table(
    "annotations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_number", ForeignKey("runs.run_number", ondelete="CASCADE")),
    Column("sweep_id", ForeignKey("sweeps.id", ondelete="CASCADE")),
    Column("file", Text, nullable=False, comment="its name, which begins with its time"),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="note, tag, untag, exclude, include, forget, remember",
    ),
    Column("text", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False, comment="a user's name"),
    Index("annotations_by_run", "run_number"),
    Index("annotations_by_sweep", "sweep_id"),
)
