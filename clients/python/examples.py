# %% [markdown]
# PrefLoop from Python: bring tasks in, judge, train a reward model, score texts, take the data out.
# Run it cell by cell (VS Code, Jupytext, Spyder) or as a whole: `python examples.py`. It needs `prefloop.py`
# beside it, the site's address, and a token with all scopes (My account → Tokens):
#
#     export PREFLOOP_URL=http://localhost:8000 PREFLOOP_TOKEN=pl_…

"""Examples of the client, in cells."""

import json
import os
import tempfile
from pathlib import Path

from prefloop import Client, Problem

client = Client(os.environ["PREFLOOP_URL"], os.environ["PREFLOOP_TOKEN"])
me = client.me()
print(f"I am {me['username']}; this token may {', '.join(me['token']['scopes'])}.")

# %% A project, and tasks with two instructions each
project = client.create_project("Names and words", judgments_wanted=1, held_out_share=0.0)
tasks = ["Sort the names", "Count the words", "Name the opposite", "Find the first letter", "Make it polite"]
ids = project.add_prompts(
    {
        "text": task,
        "examples": [{"input": "short sentence", "output": "answer"}],
        "completions": [f"Write the answer to: {task}.", "Write something."],
    }
    for task in tasks
)
print(f"{len(ids)} tasks: {ids}")

# %% A file of tasks is imported by a worker
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "tasks.tsv"
    file.write_text("Give the sum as a number.\tAdd two numbers\nWrite a number.\tAdd two numbers\n")
    upload = project.import_file(file, default_domain="general")
print(f"The import is {upload['state']}: {upload['counts']} {upload['error']}")

# %% Put the instructions of each task into the queue
pairs = {prompt: [row["id"] for row in project.completions(prompt=prompt)] for prompt in ids}
added = project.add_comparisons([{"prompt": p, "completions": pair} for p, pair in pairs.items()])
print(f"{added} comparisons wait for judgments.")

# %% Judge them: here always for the longer text
while (held := project.claim()) is not None:
    by_length = sorted(held["completions"], key=lambda shown: -len(shown["text"]))
    ranks = {shown["id"]: place for place, shown in enumerate(by_length, start=1)}
    project.submit(held["id"], ranks=ranks, strength=2)
rankings = list(project.rankings(votes=True))
print(f"{len(rankings)} judgments, the last by {rankings[-1]['annotator']}")

# %% Train a reward model, and wait for it
run = project.start_run("reward", {"heads": 5, "l2": 10.0})
run = project.wait_for_run(run["id"], every=0.5)
print(f"The run is {run['state']}. {run['error']}")
losses = [record["values"]["loss"] for record in project.records(run["id"]) if "loss" in record["values"]]
print(f"The loss went from {losses[0]:.3f} to {losses[-1]:.3f}.")

# %% Score texts by it, with its own doubt
scores = project.score(["Write the answer to: Sort the names.", "Write something."], labels=[ids[0], ids[0]])
for place, text in enumerate(("longer", "shorter")):
    print(f"{text:8} {scores['mean'][place]:+.2f} ± {scores['std'][place]:.2f}")

# %% What is refused says why
try:
    project.start_run("policy", {"steps": -1})
except Problem as problem:
    print(f"Refused: {problem.detail}")

# %% Take the preferences out
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "preferences.jsonl"
    size = project.export("trl", path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    saved = project.save_export("trl", file_type="parquet")
    files = [path.name for path in project.download_export(saved["id"], folder)]
print(f"The saved export is {saved['state']}: {', '.join(files)} {saved['error']}")
print(f"{size} bytes, {len(lines)} pairs, such as {lines[0]['chosen']!r} over {lines[0]['rejected']!r}")
