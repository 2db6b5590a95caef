package recipe

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecretSpecs(t *testing.T) {
	co := exampleCheckout(t, func(r *testRepo) {
		r.write(".env.sample", sampleEnv+"SECRET_API_KEY_VERSION=v1 # generate=false ask the provider\n")
		r.write("compose.yml", sampleCompose+`  api: {external: true, name: "${STACK_NAME}_api_${SECRET_API_KEY_VERSION}"}
  fixed: {external: true, name: "${STACK_NAME}_fixed_v1"}
  theirs: {external: true, name: traefik_token_v1}
  file: {file: notes.conf, name: "${STACK_NAME}_file_v1"}
`)
	})
	got, err := SecretSpecs(stackOf(t, co), co.AppEnv(testDomain, nil))
	if err != nil {
		t.Fatal(err)
	}
	const s = "kfzt-9431a1_ccci_test_"
	want := []SecretSpec{
		{Name: "api", FullName: s + "api_v1", Variable: "SECRET_API_KEY_VERSION", Length: 32},
		{Name: "db_password", FullName: s + "db_password_v1", Variable: "SECRET_DB_PASSWORD_VERSION", Length: 12, Charset: "hex", Generate: true},
		{Name: "fixed", FullName: s + "fixed_v1", Length: 32, Generate: true},
		{Name: "key", FullName: s + "key_v2", Variable: "SECRET_KEY_VERSION", Length: 32, Generate: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSecretModifiers(t *testing.T) {
	base := SecretSpec{Length: DefaultLength, Generate: true}
	with := func(edit func(*SecretSpec)) SecretSpec { s := base; edit(&s); return s }
	tests := []struct {
		name, comment string
		want          SecretSpec
		err           string
	}{
		{"none", "", base, ""},
		{"prose", "the password of the database", base, ""},
		{"length", "length=128", with(func(s *SecretSpec) { s.Length = 128 }), ""},
		{"all", "length=10 charset=default,special generate=false", SecretSpec{Length: 10, Charset: "default,special"}, ""},
		{"generate", "generate=true", base, ""},
		{"no length", "length=0", base, `length="0" is no number from 1 to 4096`},
		{"text for length", "length=long", base, `length="long"`},
		{"huge", "length=999999999", base, `length="999999999"`},
		{"unknown charset", "charset=klingon", base, `charset="klingon" is unknown`},
		{"generate what", "generate=maybe", base, `generate="maybe" is neither true nor false`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := base
			err := got.modify(tt.comment)
			if tt.err != "" {
				checkError(t, err, tt.err, "")
				return
			}
			if d := cmp.Diff(tt.want, got); err != nil || d != "" {
				t.Error(err, d)
			}
		})
	}
}

func TestSecretWithBadComment(t *testing.T) {
	co := exampleCheckout(t, func(r *testRepo) {
		r.write(".env.sample", strings.Replace(sampleEnv, "length=12", "length=no", 1))
	})
	_, err := SecretSpecs(stackOf(t, co), co.AppEnv(testDomain, nil))
	checkError(t, err, `secret "db_password": comment on SECRET_DB_PASSWORD_VERSION: length="no"`, "")
}

func TestSecretWithoutVersion(t *testing.T) {
	co := exampleCheckout(t, nil)
	stack := stackOf(t, co)
	key := stack.Compose.Secrets["key"]
	key.Name = "kfzt-9431a1_ccci_test_key_"
	stack.Compose.Secrets["key"] = key
	stack.Env["SECRET_KEY_VERSION"] = ""
	_, err := SecretSpecs(stack, co.AppEnv(testDomain, nil))
	checkError(t, err, `secret "key": its name "kfzt-9431a1_ccci_test_key_" lacks a version: SECRET_KEY_VERSION has no value`, "SECRET_KEY_VERSION=v1 in .env.sample")
}

func TestGenerate(t *testing.T) {
	tests := []struct{ charset, want string }{
		{"", lower + upper + digits},
		{"default", lower + upper + digits},
		{"alnum", lower + upper + digits},
		{"alphanumeric", lower + upper + digits},
		{"alpha", lower + upper},
		{"numeric", digits},
		{"digits", digits},
		{"hex", "0123456789abcdef"},
		{"HEX", "0123456789abcdef"},
		{"special", special},
		{"safespecial", "!@#%^&*_-+="},
		{"base64", lower + upper + digits + "+/"},
		{"base64url", lower + upper + digits + "-_"},
		{"default,special", lower + upper + digits + special},
		{"hex,numeric", "0123456789abcdef"},
	}
	for _, tt := range tests {
		t.Run(tt.charset, func(t *testing.T) {
			value, err := Generate(SecretSpec{Name: "x", Length: 4000, Charset: tt.charset, Generate: true}, nil)
			if err != nil || len(value) != 4000 {
				t.Fatalf("%d characters, %v", len(value), err)
			}
			if extra := strings.Trim(value, tt.want); extra != "" {
				t.Errorf("characters outside the charset: %q", extra)
			}
			for _, c := range tt.want { // 4000 draws from at most 94 miss one with a probability below 1e-16
				if !strings.ContainsRune(value, c) {
					t.Errorf("%q never came up", c)
				}
			}
		})
	}
}

func TestGenerateIsFair(t *testing.T) {
	// 62 characters: bytes from 248 on would come up as a, b … once too often
	value, err := Generate(SecretSpec{Length: 3, Generate: true}, bytes.NewReader([]byte{0, 255, 248, 61, 247}))
	if err != nil || value != "a99" {
		t.Errorf("got %q, %v", value, err)
	}
}

func TestGenerateErrors(t *testing.T) {
	_, err := Generate(SecretSpec{Name: "api", Variable: "SECRET_API_VERSION", Length: 3}, nil)
	checkError(t, err, `secret "api" is not generated: .env.sample says generate=false on SECRET_API_VERSION`, `give secret "api" a value in the suite`)
	var not *NotGeneratedError
	if !errors.As(err, &not) {
		t.Errorf("got %T", err)
	}
	_, err = Generate(SecretSpec{Name: "x", Length: 3, Charset: "klingon", Generate: true}, nil)
	checkError(t, err, `secret "x": charset="klingon" is unknown`, "known charsets: alnum, alpha")
	_, err = Generate(SecretSpec{Name: "x", Length: 3, Generate: true}, bytes.NewReader(nil))
	checkError(t, err, "EOF", "")
}
