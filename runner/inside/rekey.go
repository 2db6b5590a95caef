package inside

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/scrypt"
)

// restic stretches a repository's password with scrypt, half a second of one
// core at every call, because people choose passwords that can be guessed. The
// password of a run's repository is random, longer than any guessing reaches,
// and goes with the run: to stretch it gains nothing. Rekey writes the key once
// more, stretched as little as scrypt can. The format is in restic's design
// document, "Keys, Encryption and MAC": AES-256-CTR, authenticated with
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
	Data     []byte    `json:"data"` // nonce, ciphertext, MAC
}

// maxScryptN is more than restic ever chooses.
const maxScryptN = 1 << 22

// rekey replaces the one key of the repository in dir.
func rekey(dir, passwordFile string) error {
	password, err := os.ReadFile(passwordFile)
	if err != nil {
		return err
	}
	password = bytes.TrimSpace(password)
	names, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return fmt.Errorf("%s has %d keys, not one", dir, len(names))
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		return err
	}
	text, err = restretched(text, password)
	if err != nil {
		return fmt.Errorf("%s: %w", names[0], err)
	}
	sum := sha256.Sum256(text)
	if err := os.WriteFile(filepath.Join(dir, "keys", hex.EncodeToString(sum[:])), text, 0o400); err != nil {
		return err
	}
	return os.Remove(names[0])
}

// restretched is a key file for the same master key and password, with the
// least that scrypt takes.
func restretched(text, password []byte) ([]byte, error) {
	var k keyFile
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, err
	}
	if k.KDF != "scrypt" || k.N > maxScryptN || k.R > 64 || k.P > 64 {
		return nil, fmt.Errorf("key derivation %q with N=%d, r=%d, p=%d is not known", k.KDF, k.N, k.R, k.P)
	}
	old, err := k.cipher(password)
	if err != nil {
		return nil, err
	}
	master, err := old.open(k.Data)
	if err != nil {
		return nil, err
	}
	k.N, k.R, k.P = 2, 1, 1
	rand.Read(k.Salt) // never fails
	fresh, err := k.cipher(password)
	if err != nil {
		return nil, err
	}
	k.Data = fresh.seal(master)
	return json.Marshal(k)
}

// A sealer encrypts and authenticates as restic does.
type sealer struct {
	block cipher.Block // of the data
	mac   cipher.Block // of the nonce, for Poly1305
	r     []byte       // Poly1305's other half
}

func (k keyFile) cipher(password []byte) (*sealer, error) {
	derived, err := scrypt.Key(password, k.Salt, k.N, k.R, k.P, 64)
	if err != nil {
		return nil, err
	}
	s := &sealer{r: derived[48:]}
	if s.block, err = aes.NewCipher(derived[:32]); err != nil {
		return nil, err
	}
	s.mac, err = aes.NewCipher(derived[32:48])
	return s, err
}

const nonceSize, macSize = 16, 16

func (s *sealer) seal(plain []byte) []byte {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails
	text := make([]byte, len(plain))
	cipher.NewCTR(s.block, nonce).XORKeyStream(text, plain)
	return slices.Concat(nonce, text, s.sum(nonce, text))
}

func (s *sealer) open(sealed []byte) ([]byte, error) {
	if len(sealed) < nonceSize+macSize {
		return nil, errors.New("the key is cut off")
	}
	nonce, text, mac := sealed[:nonceSize], sealed[nonceSize:len(sealed)-macSize], sealed[len(sealed)-macSize:]
	if subtle.ConstantTimeCompare(s.sum(nonce, text), mac) != 1 {
		return nil, errors.New("the password is not the key's")
	}
	plain := make([]byte, len(text))
	cipher.NewCTR(s.block, nonce).XORKeyStream(plain, text)
	return plain, nil
}

// sum is Poly1305-AES (D. J. Bernstein, 2005) of a text, for a few hundred bytes:
// with big numbers, not fast.
func (s *sealer) sum(nonce, text []byte) []byte {
	r := slices.Clone(s.r)
	for i := 3; i < 16; i += 4 {
		r[i] &= 15
	}
	for i := 4; i < 16; i += 4 {
		r[i] &= 252
	}
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	factor, sum := little(r), new(big.Int)
	for block := range slices.Chunk(text, 16) {
		sum.Add(sum, little(append(slices.Clone(block), 1)))
		sum.Mod(sum.Mul(sum, factor), prime)
	}
	pad := make([]byte, nonceSize)
	s.mac.Encrypt(pad, nonce)
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
