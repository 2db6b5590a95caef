package ledger_test

import (
	"bytes"
	"fmt"
	"time"

	"coopcloud.tech/abra-ccci/ledger"
)

// One entry, as it is written and as it is read.
func Example() {
	seed := bytes.NewReader(make([]byte, 64))
	secret, _, _ := ledger.NewKey(seed, "ci-adversary")
	key, _ := ledger.ReadSigner(secret)
	e := &ledger.Entry{
		Content: ledger.Content{
			Kind: ledger.VerdictKind, Phase: "mailu", Claim: "M1",
			Subject: ledger.Subject{Repo: "coop-cloud/mailu", PR: 3, Head: "edc0201a79d36bc87696b0f93f1ee88ad7bd10ed"},
			Verdict: ledger.Fail, Scope: ledger.Full,
			Opened:  []ledger.Finding{{ID: "ADV-mailu-01", Title: "no test looks whether mail comes back", Text: "Fix: seed a message."}},
			ID:      "2f9a1f2a7b7a4f3c9be0d0c3b1a6e4d7",
			Summary: "the test exercises only /data; /mail is not tested",
			Checks: []ledger.Check{
				{Status: "pass", Text: "labels correct"},
				{Status: "fail", Text: "every saved path has app proof", Detail: []string{"imap:/mail: none"}},
			},
		},
		Time:  time.Date(2026, 6, 11, 20, 58, 0, 0, time.UTC),
		Index: 2, Origin: "example.org/ledger",
	}
	raw, err := ledger.Sign(e, key)
	fmt.Print(string(raw), err, "\n")
	back, err := ledger.Parse(raw)
	fmt.Println(back.Number(), back.Verdict, back.Signer, err)
	// Output:
	// ## E000002 · M1 · FAIL · 2026-06-11T20:58Z
	//
	// ```
	// phase: mailu
	// claim: M1
	// kind: verdict
	// repo: coop-cloud/mailu
	// pr: 3
	// head: edc0201a79d36bc87696b0f93f1ee88ad7bd10ed
	// verdict: FAIL
	// scope: full
	// opened: ADV-mailu-01
	// id: 2f9a1f2a7b7a4f3c9be0d0c3b1a6e4d7
	// previous: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
	// index: 2
	// origin: example.org/ledger
	// ```
	//
	// > the test exercises only /data; /mail is not tested
	//
	// ### Checked
	//
	// > - ✓ labels correct
	// > - ✗ every saved path has app proof
	// >   - imap:/mail: none
	//
	// ### ADV-mailu-01
	//
	// > no test looks whether mail comes back
	// >
	// > Fix: seed a message.
	//
	// — ci-adversary fFFZB6wW8pyjsVkH4Frjdn3ChD/bVBiR1H0UO+mi+UmQYbcK59r1ZwXzZfoghoZz9zrwnNO9x10VQ/hhpaHyYqet8wo=
	// <nil>
	// E000002 FAIL ci-adversary <nil>
}
