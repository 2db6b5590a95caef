#!/usr/bin/env python3
"""Verifies a ledger with Python alone: verify-ledger.py DIR [TRUST]. docs/ledger.md says what is checked, and why."""
import base64, hashlib, os, re, stat, sys

# Ed25519 as in RFC 8032, in extended coordinates.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
def add(a, b):
    A, B, C, E = (a[1]-a[0])*(b[1]-b[0]) % P, (a[1]+a[0])*(b[1]+b[0]) % P, 2*a[3]*b[3]*D % P, 2*a[2]*b[2] % P
    e, f, g, h = B-A, E-C, E+C, B+A
    return e*f % P, g*h % P, f*g % P, e*h % P
def mul(s, a):
    r = (0, 1, 1, 0)
    while s:
        if s & 1: r = add(r, a)
        a, s = add(a, a), s >> 1
    return r
def point(b):
    y = int.from_bytes(b, "little"); sign, y = y >> 255, y & (1 << 255) - 1
    xx = (y*y-1) * pow(D*y*y+1, P-2, P) % P
    x = pow(xx, (P+3)//8, P)
    if (x*x-xx) % P: x = x * pow(2, (P-1)//4, P) % P
    if (x*x-xx) % P or y >= P or (x == 0 and sign): raise ValueError("no point")
    if x & 1 != sign: x = P - x
    return x, y, 1, x*y % P
G = point((4 * pow(5, P-2, P) % P).to_bytes(32, "little"))
def ed25519(key, msg, sig):
    s, h = int.from_bytes(sig[32:], "little"), int.from_bytes(hashlib.sha512(sig[:32] + key + msg).digest(), "little")
    a, b = mul(s, G), add(point(sig[:32]), mul(h % L, point(key)))
    return s < L and (a[0]*b[2]-b[0]*a[2]) % P == 0 and (a[1]*b[2]-b[1]*a[2]) % P == 0

def sha(b): return hashlib.sha256(b).digest()
def root(h):  # RFC 6962
    if len(h) < 2: return h[0] if h else sha(b"")
    k = 1 << (len(h)-1).bit_length() - 1
    return sha(b"\1" + root(h[:k]) + root(h[k:]))
def b64(b): return base64.b64encode(b).decode()
def read(*name):
    fd = os.open(os.path.join(sys.argv[1], *name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    need(stat.S_ISREG(os.fstat(fd).st_mode), name, "no regular file")
    with os.fdopen(fd, "rb") as f: return f.read()
def need(ok, where, why):
    if not ok: sys.exit(f"{where}: {why}")
def names(folder, first, form):
    need(not os.path.islink(os.path.join(sys.argv[1], folder)), folder, "a symlink")
    have = sorted((n for n in os.listdir(os.path.join(sys.argv[1], folder)) if n[:5] != ".tmp-"), key=lambda n: (len(n), n))
    need(have == [form % (first+i) for i in range(len(have))], folder, "a file is missing, or one too many")
    return have
def signed(raw, where, *policies):  # the text, the role and the name of who signed it
    m = re.fullmatch(r"(.*\n)\n— ([A-Za-z0-9._-]+) ([A-Za-z0-9+/]+=*)\n", raw.decode(), re.S)
    need(m and "\n\n— " not in m[1], where, "not one signature line")
    sig = base64.b64decode(m[3], validate=True)
    need(b64(sig) == m[3] and len(sig) == 68, where, "a malformed signature")
    for name, hash, key, role in (k for p in policies for k in p):
        if (name, hash) == (m[2], sig[:4]) and ed25519(key, m[1].encode(), sig[4:]): return m[1], role, name
    need(False, where, "no key of the policy signed it")
def keys(text):  # key: ROLE NAME+HASH+BASE64
    for role, name, hash, key in re.findall(r"^key: (\S+) ([^+]+)\+(\S{8})\+(\S+)$", text, re.M):
        key = base64.b64decode(key)
        need(sha(name.encode() + b"\n" + key)[:4].hex() == hash and key[0] == 1, name, "a malformed key")
        yield name, bytes.fromhex(hash), key[1:], role

MAY = {"policy": ["adversary"], "verdict": ["adversary"], "orientation": ["adversary"], "claim": ["builder"],
       "response": ["builder", "adversary"], "retract": ["builder", "adversary"]}
entries, checkpoints = names("entries", 0, "%06d.md"), names("checkpoints", 1, "%06d")
need(checkpoints and len(entries) - len(checkpoints) in (0, 1), "ledger", "entries and checkpoints don't match")
policy, leaves, blocks, origin, last = [], [], [], None, ""
for i, name in enumerate(entries[:len(checkpoints)]):
    raw = read("entries", name); fields = raw.decode().split("\n```\n")[1]
    get = dict(line.split(": ", 1) for line in fields.split("\n")); origin = origin or get["origin"]
    before, policy = policy, list(keys(fields)) if get["kind"] == "policy" else policy
    text, role, who = signed(raw, name, before or policy)
    need(role in MAY[get["kind"]], name, f"{who}, a {role}, can't sign a {get['kind']}")
    need((get["index"], get["origin"], get["previous"]) == (str(i), origin, b64(root(leaves))), name, "not of this place in this log")
    need(text.startswith(f"## E{i:06d} · ") and get.get("verdict", get["kind"]) == text.split(" · ")[2], name, "its heading is of another entry")
    last, before_it = text.split(" · ")[3][:17], last
    need(last >= before_it, name, "a clock ran backwards")
    leaves.append(sha(b"\0" + raw)); blocks.append((get["kind"], get.get("phase"), raw.decode()))
    body, _, _ = signed(read("checkpoints", checkpoints[i]), checkpoints[i], before, policy)
    need(body == f"{origin}\n{i+1}\n{b64(root(leaves))}\n", checkpoints[i], "not the checkpoint of these entries")
for name in os.listdir(sys.argv[1]):  # the blocks in what people read are the log's
    if m := re.fullmatch(r"REVIEW-(.*)\.md", name):
        text, _, foot = read(name).decode().rpartition("\n---\n"); size = int(re.search(r"at size (\d+), ", foot)[1])
        need(any(b[1] == m[1] for b in blocks) and size <= len(blocks) and b64(root(leaves[:size])) in foot and text[text.find("\n## E"):] ==
             "".join("\n" + b[2] for b in blocks[:size] if b[0] == "policy" or b[1] == m[1]), name, "not what the log renders")
if len(sys.argv) > 2:
    need(open(sys.argv[2]).read() == f"{origin}\nsha256:{hashlib.sha256(blocks[0][2].encode()).hexdigest()}\n", "entry 0", "not the one that is trusted")
print(f"{origin}: {len(leaves)} entries, root {b64(root(leaves))}")
