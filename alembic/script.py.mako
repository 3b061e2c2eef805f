<%
    body = f"{upgrades or 'pass'}\n{downgrades or 'pass'}"
    faults = ["Q000"] * ("'" in body) + ["E501"] * any(len(line) > 100 for line in body.splitlines())
    title = " ".join(message.replace("\\", " ").replace('"', "'").split())
    title = title[:1].upper() + title[1:]
%>\
% if faults:
# ruff: noqa: ${", ".join(faults)}  the body was generated
% endif
"""${title if title.endswith((".", "!", "?")) else title + "."}"""
% if "sa." in body or "op." in body or imports:

% endif
% if "sa." in body:
import sqlalchemy as sa
% endif
% if "op." in body:
from alembic import op
% endif
% if imports:
${imports}
% endif

revision = "${up_revision}"
<%def name="quote(value)">\
% if value is None:
None\
% elif isinstance(value, str):
"${value}"\
% else:
(${" ".join(f'"{one}",' for one in value)})\
% endif
</%def>\
down_revision = ${quote(down_revision)}
% if branch_labels:
branch_labels = ${quote(branch_labels)}
% endif
% if depends_on:
depends_on = ${quote(depends_on)}
% endif


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
