"""What a ledger's REVIEW-<phase>.md and BACKLOG-<phase>.md are, byte for byte."""
import re

REVIEW = """# REVIEW: phase %s

Verdict log, append-only. Every block is signed by its author, and verbatim an
entry of the log; `abra-ccci ledger verify` tells if anything here was changed.
%s"""
BACKLOG = """# BACKLOG: phase %s

Findings of the adversary. Only a later verdict that tested one again closes it.

## Open
%s
## Closed
%s"""
FOOTER = """
---

Rendered from the log %s at size %d, root
%s. The signed checkpoint:

```
%s%s```
"""


def gaps(root, a, b):
    """The largest whole subtrees over the entries from a up to b."""
    if a >= b:
        return ""
    width = min(1 << (b - a).bit_length() - 1, a & -a or b)
    return f"gap: {a} {width} {root(a, a + width)}\n" + gaps(root, a + width, b)


def findings(log, phase):
    """The open ones and the closed ones. What closed one counts unless it was retracted."""
    texts, retracted = {False: "", True: ""}, {e.get("retracts") for e in log}
    for e in log:
        for id in e.get("opened", "").split() if e["phase"] == phase else []:
            by = [c for c in log if id in c.get("closed", "").split() and c["number"] not in retracted][:1]
            closed = "".join(f" · closed by {c['number']} {c['time']}" for c in by)
            section = re.search(rf"\n### {id}\n(\n(?:>.*\n)+)", e["block"])[1]
            texts[bool(by)] += f"\n### {id} · {e['claim']} · opened by {e['number']} {e['time']}{closed}\n{section}"
    return texts[False] or "\nNone.\n", texts[True] or "\nNone.\n"


def render(kind, phase, log, root, note):
    """The file over a log and the signed checkpoint of its size; root(a, b) is that of a part."""
    shown = [i for i, e in enumerate(log) if e["phase"] in ("", phase)]
    blocks, hashes = "".join(log[i]["block"] for i in shown), ""
    for a, b in zip([-1] + shown, shown + [len(log)]):
        hashes += gaps(root, a + 1, b)
    text = REVIEW % (phase, blocks) if kind == "REVIEW" else BACKLOG % (phase, *findings(log, phase))
    return text + FOOTER % (log[0]["origin"], len(log), root(0, len(log)), hashes if kind == "REVIEW" else "", note)
