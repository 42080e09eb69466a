"""Gives people plain views of results.db for their own SQL: names and words instead of row numbers.

The program itself reads none of them. SQLite and PostgreSQL have the same views with the same
columns, and nothing but the functions that each of them has by itself.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text


@dataclass(frozen=True)
class Dialect:
    """What the two databases write differently; `{}` stands for the expression that is meant.

    Attributes:
        joined: texts of many rows as one.
        time: seconds since 1970 as ISO text in UTC.
        field: a text in a JSON object, by the keys that lead to it.
        fields: rows `key`, `value` of a JSON object, under the name `field`.
        plain: the value of such a row: true and false as words, of the rest what SQL can hold.
        integers: rows `value` of a JSON list, under the name `item`.
    """

    joined: str
    time: str
    field: str
    fields: str
    plain: str
    integers: str


SQLITE = Dialect(
    joined="group_concat({}, ', ')",
    time="strftime('%Y-%m-%dT%H:%M:%SZ', {}, 'unixepoch')",
    field="json_extract({}, '$.{}')",
    fields="json_each({}) AS field",
    plain="CASE field.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE field.value END",
    integers="json_each({}) AS item",
)
POSTGRESQL = Dialect(
    joined="string_agg({}, ', ')",
    time="to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    field="CAST({} AS json) #>> '{{{}}}'",
    fields="json_each_text(CAST({} AS json)) AS field",
    plain="field.value",
    integers="json_array_elements_text(CAST({} AS json)) AS item",
)
_DIALECTS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}

_WORDS = {
    "PLANNED": "not started",
    "SUBMITTED": "waits in the queue",
    "RUNNING": "running",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "OOM": "out of memory",
    "TIMEOUT": "out of time",
    "PREEMPTED": "preempted",
    "STOPPED": "stopped",
    "CANCELLED": "cancelled",
    "LOST": "died without a word",
}
"""The states of a run as people say them."""


def create_views(connection: Connection) -> None:
    """Create all views; one whose name a table of somebody else's has is left out."""
    taken = {*inspect(connection).get_table_names(), *inspect(connection).get_view_names()}
    for name, query in queries(connection.dialect.name).items():
        if name not in taken:
            connection.execute(text(f"CREATE VIEW {name} AS {query}"))


def drop_views(connection: Connection) -> None:
    """Drop the views of our names."""
    for name in inspect(connection).get_view_names():
        if name in queries(connection.dialect.name):
            connection.execute(text(f"DROP VIEW {name}"))


def queries(dialect_name: str) -> dict[str, str]:
    """Return the name and the query of each view."""
    dialect = _DIALECTS[dialect_name]
    return {
        "results": _results(dialect),
        "settings": _settings(dialect),
        "series": _SERIES,
        "attempts_plain": _attempts(dialect),
        "asked": _asked(dialect),
    }


def _results(dialect: Dialect) -> str:
    """Return a query: a line per number that a protocol gave, with its run, sweeps and variants."""
    return f"""
        SELECT runs.run_id, {_names("sweeps.label", dialect)} AS sweeps,
          {_names("sweep_runs.variant", dialect)} AS variants,
          runs.seed, runs.state, runs.outcome, runs.excluded,
          evaluations.protocol, evaluations.version, evaluations.network, evaluations.name,
          evaluations.value,
          (SELECT value FROM summaries
            WHERE summaries.run_number = runs.run_number AND summaries.moment = 'final'
              AND summaries.name = 'std_sqrt_d') AS final_std_sqrt_d
        FROM runs JOIN evaluations ON evaluations.run_number = runs.run_number"""


def _names(column: str, dialect: Dialect) -> str:
    """Return the expression of all names that sweeps have for a run; not those forgotten."""
    joined = dialect.joined.format("name")
    return f"""(SELECT {joined} FROM (
            SELECT DISTINCT {column} AS name
            FROM sweep_runs JOIN sweeps ON sweeps.id = sweep_runs.sweep_id
            WHERE sweep_runs.run_id = runs.run_id AND sweeps.forgotten_at IS NULL
            ORDER BY 1) AS names)"""


def _settings(dialect: Dialect) -> str:
    """Return a query: a line per run and setting; the value is null where it has no effect."""
    fields = dialect.fields.format("runs.config")
    return f"""
        SELECT runs.run_id, field.key AS key, {dialect.plain} AS value
        FROM runs CROSS JOIN {fields}"""


# Where several attempts logged a step, the highest counts. SQLite keeps to the order of CROSS JOIN:
# it must never begin with the points, of which there are millions.
_SERIES = """
        SELECT runs.run_id, metrics.name AS metric, points.step, points.value, points.non_finite,
          points.attempt
        FROM runs CROSS JOIN metrics CROSS JOIN points
        WHERE points.run_number = runs.run_number AND points.metric = metrics.id AND NOT EXISTS (
          SELECT 1 FROM points AS later
          WHERE later.run_number = points.run_number AND later.metric = points.metric
            AND later.step = points.step AND later.attempt > points.attempt)"""


def _attempts(dialect: Dialect) -> str:
    """Return a query: a line per attempt, with times that people read and what it ran with."""
    ended = "coalesce(attempts.ended_at, attempts.last_at, attempts.claimed_at)"
    hours = f"({ended} - attempts.claimed_at) / 3600.0"
    gpus = "coalesce(attempts.gpus, CASE WHEN attempts.device LIKE 'cuda%' THEN 1 ELSE 0 END)"
    return f"""
        SELECT runs.run_id, attempts.number AS attempt,
          CASE WHEN attempts.number = runs.attempt THEN 'yes' ELSE 'no' END AS counts,
          {_in_words(_LAST_WORD)} AS state, attempts.reason,
          {dialect.time.format("attempts.claimed_at")} AS started,
          {dialect.time.format("attempts.ended_at")} AS ended,
          {hours} AS hours, {hours} * {gpus} AS gpu_hours,
          attempts.executor, attempts.job_id, attempts.host, attempts.device,
          {dialect.field.format("attempts.origin", _path(dialect, "compute", "kind"))} AS device_model,
          {dialect.field.format("attempts.origin", "commit")} AS git_commit,
          {dialect.field.format("attempts.origin", _path(dialect, "versions", "torch"))} AS torch,
          attempts.first_step, attempts.last_step,
          CASE WHEN attempts.exact THEN 'yes' WHEN NOT attempts.exact THEN 'no' END AS exact,
          attempts.images_per_s
        FROM attempts JOIN runs ON runs.run_number = attempts.run_number"""


def _path(dialect: Dialect, *keys: str) -> str:
    """Return keys that lead into a JSON object, one in the other."""
    separator = "." if dialect is SQLITE else ","
    return separator.join(keys)


def _asked(dialect: Dialect) -> str:
    """Return a query: a line per variant and seed that a spec or a launch asks for."""
    seeds = dialect.integers.format("sweeps.seeds")
    return f"""
        SELECT sweeps.label AS sweep, cells.variant, cells.seed, sweep_runs.run_id,
          CASE WHEN sweep_runs.run_id IS NULL THEN 'never launched'
            WHEN runs.run_id IS NULL THEN 'deleted'
            ELSE {_in_words("runs.state")} END AS state,
          runs.reason
        FROM (
          SELECT sweeps.id AS sweep_id, variants.name AS variant,
            CAST(item.value AS INTEGER) AS seed
          FROM sweeps JOIN variants ON variants.sweep_id = sweeps.id CROSS JOIN {seeds}
          UNION SELECT sweep_id, variant, seed FROM sweep_runs) AS cells
        JOIN sweeps ON sweeps.id = cells.sweep_id AND sweeps.forgotten_at IS NULL
        LEFT JOIN sweep_runs ON sweep_runs.sweep_id = cells.sweep_id
          AND sweep_runs.variant = cells.variant AND sweep_runs.seed = cells.seed
        LEFT JOIN runs ON runs.run_id = sweep_runs.run_id"""


# Of what left no word, its run tells, unless that waits already for another attempt.
_LAST_WORD = """
          CASE WHEN attempts.state IS NOT NULL THEN attempts.state
            WHEN attempts.number = runs.attempt AND runs.state NOT IN ('PLANNED', 'SUBMITTED')
              THEN runs.state
            ELSE 'LOST' END"""


def _in_words(state: str) -> str:
    """Return the expression of a state as people say it."""
    cases = " ".join(f"WHEN '{state}' THEN '{words}'" for state, words in _WORDS.items())
    return f"CASE {state} {cases} END"
