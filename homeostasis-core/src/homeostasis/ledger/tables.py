"""The ledger's tables. Models are stored as JSON text, exactly as `model_dump_json` writes them."""

from __future__ import annotations

import sqlalchemy as sa

from homeostasis.monitoring.traffic import BOUNDARIES

metadata = sa.MetaData()

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False, index=True),
    sa.Column("service", sa.String(200), nullable=False),
    sa.Column("state", sa.String(32), nullable=False, index=True),
    sa.Column("last_state_at", sa.Float, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("first_seen", sa.Float, nullable=False, index=True),
    sa.Column("last_seen", sa.Float, nullable=False, index=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("diagnoses", sa.Text),
    sa.Column("patch_id", sa.String(64)),
    sa.Column("owner", sa.String(200)),
    sa.Column("digest", sa.String(64)),
)
transitions = sa.Table(
    "transitions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("incident_id", sa.ForeignKey("incidents.id"), nullable=False, index=True),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
)
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("incident_id", sa.ForeignKey("incidents.id"), primary_key=True),
    sa.Column("patch_id", sa.String(64), primary_key=True),
    sa.Column("rank", sa.Integer, nullable=False),
    sa.Column("rule_id", sa.String(200), nullable=False, index=True),
    sa.Column("patch", sa.Text, nullable=False),
    sa.Column("diagnosis", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Column("outcome", sa.String(32)),
)
releases = sa.Table(
    "releases",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("incident_id", sa.ForeignKey("incidents.id"), nullable=False, index=True),
    sa.Column("patch_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("started_at", sa.Float, nullable=False, index=True),
    sa.Column("live_at", sa.Float),
    sa.Column("observation", sa.Text, nullable=False),
    sa.Column("deployers", sa.Text, nullable=False),
)
steps = sa.Table(
    "steps",
    metadata,
    sa.Column("release_id", sa.ForeignKey("releases.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("deployer", sa.String(200), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("undo", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
)
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("incident_id", sa.ForeignKey("incidents.id"), nullable=False),
    sa.Column("decision", sa.String(32), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("outcome", sa.Text),
)
approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("incident_id", sa.ForeignKey("incidents.id"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("actor", sa.String(200), primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
track = sa.Table(
    "track",
    metadata,
    sa.Column("rule_id", sa.String(200), primary_key=True),
    sa.Column("what", sa.String(32), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)
touched = sa.Table(
    "touched",
    metadata,
    sa.Column("release_id", sa.ForeignKey("releases.id"), primary_key=True),
    sa.Column("path", sa.String(1000), primary_key=True, index=True),
)
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("incident_id", sa.String(32), nullable=False, index=True),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
for _change in ("UPDATE", "DELETE"):
    # A mistake of ours, or of a person with a database tool, is stopped here; what gets round it breaks the chain.
    _trigger = f"""
        CREATE TRIGGER audit_no_{_change.lower()} BEFORE {_change} ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
    """
    _append_only = sa.DDL(_trigger)  # type: ignore[no-untyped-call]
    sa.event.listen(audit, "after_create", _append_only.execute_if(dialect="sqlite"))
samples = sa.Table(
    "samples",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("service", sa.String(200), nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
traffic = sa.Table(
    "traffic",
    metadata,
    sa.Column("service", sa.String(200), primary_key=True),
    sa.Column("route", sa.String(500), primary_key=True),
    sa.Column("second", sa.Integer, primary_key=True, index=True),
    sa.Column("requests", sa.Integer, nullable=False),
    sa.Column("errors", sa.Integer, nullable=False),
)
durations = sa.Table(
    "durations",
    metadata,
    sa.Column("service", sa.String(200), primary_key=True),
    sa.Column("route", sa.String(500), primary_key=True),
    sa.Column("second", sa.Integer, primary_key=True, index=True),
    sa.Column("seconds", sa.Float, nullable=False),
    # A column each, so that one statement adds to all of them; a row takes about as many bytes as there are buckets.
    *(sa.Column(f"bucket_{number}", sa.Integer, nullable=False) for number in range(len(BOUNDARIES) + 1)),
)
sources = sa.Table(
    "sources",
    metadata,
    sa.Column("collector", sa.String(200), primary_key=True),
    sa.Column("source", sa.String(500), primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("first_at", sa.Float, nullable=False),
    sa.Column("last_at", sa.Float, nullable=False),
)
source_minutes = sa.Table(
    "source_minutes",
    metadata,
    sa.Column("collector", sa.String(200), primary_key=True),
    sa.Column("source", sa.String(500), primary_key=True),
    sa.Column("minute", sa.Integer, primary_key=True, index=True),
    sa.Column("records", sa.BigInteger, nullable=False),
)
drops = sa.Table(
    "drops",
    metadata,
    sa.Column("collector", sa.String(200), primary_key=True),
    sa.Column("reason", sa.String(200), primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.Float, nullable=False),
)
positions = sa.Table(
    "positions",
    metadata,
    sa.Column("source", sa.String(500), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
)
