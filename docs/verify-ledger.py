"""Verifies a ledger with Python alone: verify-ledger.py DIR [TRUST]. docs/ledger.md says what it checks, and what not."""
import base64, functools, hashlib, os, re, sys
import ed25519, renderings  # the files beside this one

def need(ok, where, why): return ok or sys.exit(f"{where}: {why}")
def sha256(data): return hashlib.sha256(data).digest()
@functools.cache
def tree(a, b):  # the root over the leaves from a up to b, RFC 6962
    if b - a < 2: return leaves[a] if a < b else sha256(b"")
    half = a + (1 << (b - a - 1).bit_length() - 1)
    return sha256(b"\1" + tree(a, half) + tree(half, b))
def root(a, b): return base64.b64encode(tree(a, b)).decode()
def names(sub): return {name for name in os.listdir(os.path.join(folder, sub)) if not name.startswith(".tmp-")}
def read(name):
    path = os.path.join(folder, name)
    need(os.path.isfile(path) and os.path.realpath(path) == path, name, "missing, or not a file of the ledger")
    with open(path, encoding="utf-8", errors="replace", newline="") as f: return f.read()
def signed(where, text, name, signature, policy):  # the role and the key that signed it
    raw = base64.b64decode(signature)
    role, key = policy.get((name, raw[:4]), (None, b""))
    good = base64.b64encode(raw).decode() == signature and ed25519.verify(key, text.encode(), raw[4:])
    return need(good and (role, key), where, "no key of the policy signed it")

MAY = {"adversary": "policy verdict orientation response retract", "builder": "claim response retract"}
NOTE, KEY = "(%s)\n— (.+) (.+)\n", r"^key: (\w+) (.+?)\+(\w{8})\+(.+)$"
ENTRY = NOTE % "## (E.+) · (.+) · (.+) · (.{17})\n\n```\n((?:[a-z_]+: .+\n)+)```\n(?:\n(?:### .+\n\n)?(?:>.*\n)+)*"
folder = os.path.realpath(sys.argv[1])
log, leaves, opened, signers, now, size = [], [], [], {}, {}, len(names("checkpoints"))
for i in range(size):
    where, checkpoint, before, raw = f"entries/{i:06d}.md", f"checkpoints/{i + 1:06d}", now, read(f"entries/{i:06d}.md")
    form = need(raw.replace("\n", "").isprintable() and re.fullmatch(ENTRY, raw), where, "it is not of the form of an entry")
    text, number, about, what, time, fields, *signature = form.groups()
    e = {"phase": "", **dict(line.split(": ", 1) for line in fields.splitlines()), "block": "\n" + raw, "number": number, "time": time}
    keys = {(name, bytes.fromhex(hash)): (role, base64.b64decode(key)[1:]) for role, name, hash, key in re.findall(KEY, fields, re.M)}
    now = keys if e["kind"] == "policy" else now
    role, signers[number] = signed(where, text, *signature, before or now)
    need(e["kind"] in MAY[role].split(), where, f"a key of role {role} can't sign it")
    says = number, about, what, e["index"], e["origin"], e["previous"]
    about, what = e.get("claim", e["phase"] or "ledger"), e.get("verdict", e["kind"])
    place = f"E{i:06d}", about, what, str(i), (log or [e])[0]["origin"], root(0, i)
    need(says == place, where, "it is not of this place in this log, or has the heading of another entry")
    need(all(time >= old["time"] and e["id"] != old["id"] for old in log), where, "its time or id is one of before")
    need(signers.get(e.get("retracts", number)) == signers[number], where, "it retracts what another key signed")
    for id in e.get("opened", "").split():
        opened.append(e["phase"])
        need(id == f"ADV-{e['phase']}-{opened.count(e['phase']):02d}", where, "a finding has a wrong number")
    log, leaves[i:] = log + [e], [sha256(b"\0" + raw.encode())]
    form = re.fullmatch(NOTE % re.escape(f"{e['origin']}\n{i + 1}\n{root(0, i + 1)}\n"), read(checkpoint))
    need(form and signed(checkpoint, *form.groups(), {**before, **now}), checkpoint, "it is not of these entries")
need(size and names("entries") <= {f"{i:06d}.md" for i in range(size + 1)}, "entries", "one too many, or misnamed")
for name, kind, phase in re.findall(r"^((REVIEW|BACKLOG)-(.*)[.]md)$", "\n".join(names(".")), re.M):
    have = read(name)  # which is right if the log renders it at the size that it says
    at = min(size, int((re.findall(r"^Rendered from the log .* at size (\d+), root$", have, re.M) or ["0"])[-1]))
    want = renderings.render(kind, phase, log[:at], root, read(f"checkpoints/{at:06d}"))
    known = opened if kind == "BACKLOG" else [e["phase"] for e in log if e["phase"]]
    need(have == want and phase in known, name, "it is not what the log renders")
trust = f"{log[0]['origin']}\nsha256:{hashlib.sha256(log[0]['block'][1:].encode()).hexdigest()}\n"
need(len(sys.argv) < 3 or open(sys.argv[2]).read() == trust, "entry 0", "it is not the one that is trusted")
print(f"{log[0]['origin']}: {size} entries, root {root(0, size)}")
