"""What the API's pages say of it as a whole. Settings read this: it imports nothing."""

TAGS = [
    {"name": "start", "description": "Where to begin, and who is calling."},
    {"name": "projects", "description": "Projects, their settings, guidelines, progress and quality."},
    {"name": "tasks", "description": "Tasks (prompts) and instructions (completions)."},
    {"name": "imports", "description": "Files of tasks."},
    {"name": "comparisons", "description": "Comparisons, decisions and gold questions."},
    {"name": "judging", "description": "What annotators do: claim, submit, skip, undo."},
    {"name": "rankings", "description": "The judgments that were given."},
    {"name": "members", "description": "Members and invitations."},
    {"name": "notes", "description": "What annotators told the managers."},
    {"name": "runs", "description": "Generation, training, evaluation."},
    {"name": "models", "description": "Checkpoints, promotion, evaluations, leaderboards, scores."},
    {"name": "scoring", "description": "Scores of texts by the reward model, as OpenRLHF asks for them."},
    {"name": "exports", "description": "Data for training."},
    {"name": "webhooks", "description": "Addresses that are told what happens."},
]
DESCRIPTION = """\
Better instructions out of human rankings.

**Who calls**: `Authorization: Bearer pl_…` with a personal token (My account → Tokens), or the session of the
site's pages. A token does what its scopes name, and never more than its owner may do now.

**Errors** are problem details (RFC 9457, `application/problem+json`); `code` is for programs, `detail` for
people, `errors` says what is wrong with which field.

**Lists** come in pages by key: follow `next` until it is null. `page_size` is at most 1000.

**Repeating**: a POST that creates takes an `Idempotency-Key`. The same key with the same request gets the
same answer for 24 hours, and is carried out once; with another request it is refused with 422.

**Limits** are told by the headers `RateLimit-Policy` and `RateLimit`; above them comes 429 and
`Retry-After`.
"""
