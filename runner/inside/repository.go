package inside

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/restic/chunker"
	"golang.org/x/crypto/scrypt"
)

// restic stretches a repository's password with scrypt, because people choose
// passwords that can be guessed: some two seconds of a core to make a repository, as it
// tries out how much it takes, and half a second at every later call. The password of
// a run's repository is random, longer than any guessing reaches, and goes with the
// run: to stretch it gains nothing. So the repository is made here, with a key that is
// stretched as little as scrypt can. The format is in restic's design document,
// "Repository Format" and "Keys, Encryption and MAC": AES-256-CTR, authenticated with
// Poly1305-AES.

// A keyFile is a file in keys/ of a repository.
type keyFile struct {
	Created  time.Time `json:"created"`
	Username string    `json:"username"`
	Hostname string    `json:"hostname"`
	KDF      string    `json:"kdf"`
	N        int       `json:"N"`
	R        int       `json:"r"`
	P        int       `json:"p"`
	Salt     []byte    `json:"salt"`
	Data     []byte    `json:"data"` // the masterKey: nonce, ciphertext, MAC
}

// A masterKey is what everything else in a repository is encrypted with.
type masterKey struct {
	MAC struct {
		K []byte `json:"k"`
		R []byte `json:"r"`
	} `json:"mac"`
	Encrypt []byte `json:"encrypt"`
}

// A config is what the file of that name holds, encrypted with the master key.
type config struct {
	Version    int         `json:"version"`
	ID         string      `json:"id"`
	Polynomial chunker.Pol `json:"chunker_polynomial"` // where files are cut
}

// repositoryVersion is what restic itself gives to a new repository, since 0.14.
const repositoryVersion = 2

// makeRepository makes an empty repository in dir, as `restic init` does. The config
// comes last: without it restic sees no repository, and what is there of an earlier try
// goes.
func makeRepository(dir, passwordFile string) error {
	password, err := os.ReadFile(passwordFile)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "config")); err == nil {
		return fmt.Errorf("%s is a repository already", dir)
	}
	key, settings, err := repositoryFiles(bytes.TrimSpace(password))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	folders := []string{"index", "keys", "locks", "snapshots"}
	for i := range 256 {
		folders = append(folders, fmt.Sprintf("data/%02x", i))
	}
	for _, name := range folders {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(key)
	if err := os.WriteFile(filepath.Join(dir, "keys", hex.EncodeToString(sum[:])), key, 0o400); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config"), settings, 0o400)
}

// repositoryFiles are the key file and the config of a new repository.
func repositoryFiles(password []byte) (key, settings []byte, err error) {
	master := random(64)
	clamp(master[48:])
	k := keyFile{Created: time.Now(), KDF: "scrypt", N: 2, R: 1, P: 1, Salt: random(64)}
	stretched, err := scrypt.Key(password, k.Salt, k.N, k.R, k.P, 64)
	if err != nil {
		return nil, nil, err
	}
	var m masterKey
	m.Encrypt, m.MAC.K, m.MAC.R = master[:32], master[32:48], master[48:]
	if k.Data, err = sealed(stretched, m); err != nil {
		return nil, nil, err
	}
	if key, err = json.Marshal(k); err != nil {
		return nil, nil, err
	}
	polynomial, err := chunker.RandomPolynomial()
	if err != nil {
		return nil, nil, err
	}
	settings, err = sealed(master, config{repositoryVersion, hex.EncodeToString(random(32)), polynomial})
	return key, settings, err
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

const nonceSize = 16

// sealed is v as JSON, encrypted and authenticated as restic does: nonce,
// ciphertext, MAC. key is 32 bytes for AES, 16 for the nonce's, 16 for Poly1305.
func sealed(key []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		return nil, err
	}
	mac, err := aes.NewCipher(key[32:48])
	if err != nil {
		return nil, err
	}
	nonce := random(nonceSize)
	cipher.NewCTR(block, nonce).XORKeyStream(text, text)
	pad := make([]byte, nonceSize)
	mac.Encrypt(pad, nonce)
	return slices.Concat(nonce, text, poly1305(key[48:], pad, text)), nil
}

// clamp clears the bits of Poly1305's factor that have to be zero.
func clamp(r []byte) {
	for i := 3; i < 16; i += 4 {
		r[i] &= 15
	}
	for i := 4; i < 16; i += 4 {
		r[i] &= 252
	}
}

// poly1305 is Poly1305-AES (D. J. Bernstein, 2005) of a text, for a few hundred bytes:
// with big numbers, not fast. pad is the encrypted nonce.
func poly1305(r, pad, text []byte) []byte {
	r = slices.Clone(r)
	clamp(r)
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	factor, sum := little(r), new(big.Int)
	for block := range slices.Chunk(text, 16) {
		sum.Add(sum, little(append(slices.Clone(block), 1)))
		sum.Mod(sum.Mul(sum, factor), prime)
	}
	sum.Add(sum, little(pad))
	bits := sum.FillBytes(make([]byte, 18))[2:] // modulo 2^128
	slices.Reverse(bits)
	return bits
}

// little reads a number whose lowest byte comes first.
func little(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}
