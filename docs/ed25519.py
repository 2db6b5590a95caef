"""Ed25519 signatures, verified as in RFC 8032: what Python's standard library lacks."""
import hashlib

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


# A point (X, Y, Z) stands for x = X/Z, y = Y/Z.
def add(p, q):
    xx, yy, zz = p[0] * q[0], p[1] * q[1], p[2] * q[2] % P
    cross = p[0] * q[1] + p[1] * q[0]
    minus, plus = zz * zz - D * xx * yy, zz * zz + D * xx * yy
    return zz * cross * minus % P, zz * (yy + xx) * plus % P, minus * plus % P


def times(n, p):
    if n == 0:
        return 0, 1, 1
    half = times(n // 2, add(p, p))
    return add(half, p) if n % 2 else half


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def point(b):
    y = int.from_bytes(b, "little") % 2**255
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if x * x % P != xx:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != xx or y >= P:
        return None
    return (x if x % 2 == b[31] >> 7 else P - x), y, 1


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verify(key, text, signature):
    """Tells whether it is the signature of the text by the key; all three are bytes."""
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    return bool(a and r) and s < L and same(times(s, BASE), add(r, times(k, a)))
