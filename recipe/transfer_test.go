package recipe

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// packOf writes a pack that says it has count objects, and holds one: of the
// type, said to be size bytes long, made of body.
func packOf(t *testing.T, count uint32, kind byte, size uint64, base, body []byte) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("PACK")
	b.Write(binary.BigEndian.AppendUint32(nil, 2))
	b.Write(binary.BigEndian.AppendUint32(nil, count))
	first, rest := kind<<4|byte(size&15), size>>4
	if rest > 0 {
		first |= 0x80
	}
	b.WriteByte(first)
	if rest > 0 {
		b.Write(binary.AppendUvarint(nil, rest))
	}
	b.Write(base)
	z := zlib.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b.Write(make([]byte, 20))
	return bytes.NewReader(b.Bytes())
}

// A few bytes must not become a disk full, whatever a pack says of itself.
func TestLookThrough(t *testing.T) {
	const limit = 1 << 20
	delta := func(makes uint64) []byte {
		return append(binary.AppendUvarint(binary.AppendUvarint(nil, 5), makes), 0x90, 5)
	}
	base := make([]byte, 20)
	tests := []struct {
		name string
		pack *bytes.Reader
		want string
	}{
		{"a blob", packOf(t, 1, 3, 5, nil, []byte("hello")), ""},
		{"a blob as large as may be", packOf(t, 1, 3, limit, nil, make([]byte, limit)), ""},
		{"a blob too large", packOf(t, 1, 3, limit+1, nil, make([]byte, limit+1)), "unpacks to more than 1 MiB"},
		{"a blob that says it is small", packOf(t, 1, 3, 5, nil, make([]byte, 2*limit)), "exceeds declared size"},
		{"a blob that says it is endless", packOf(t, 1, 3, 1<<50, nil, nil), "unpacks to more than 1 MiB"},
		{"a delta", packOf(t, 1, 7, uint64(len(delta(5))), base, delta(5)), ""},
		{"a delta that makes much", packOf(t, 1, 7, uint64(len(delta(limit+1))), base, delta(limit+1)), "unpacks to more than 1 MiB"},
		{"a delta that makes more than there is", packOf(t, 1, 7, uint64(len(delta(1<<63))), base, delta(1<<63)), "unpacks to more than 1 MiB"},
		{"a delta of nothing", packOf(t, 1, 7, 0, base, nil), "EOF"},
		{"more objects than there are", packOf(t, 2, 3, 5, nil, []byte("hello")), ""},
		{"very many objects", packOf(t, maxObjects+1, 3, 5, nil, []byte("hello")), "more than 500000 objects"},
		{"no pack", bytes.NewReader([]byte("hello, world")), "signature"},
		{"nothing", bytes.NewReader(nil), "empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := lookThrough(context.Background(), tt.pack, limit)
			if tt.name == "more objects than there are" {
				if err == nil {
					t.Error("it is taken")
				}
				return
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := lookThrough(ended, packOf(t, 1, 3, 5, nil, []byte("hello")), limit); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func FuzzLookThrough(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x35x\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,\x02\x15"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x70"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = lookThrough(context.Background(), bytes.NewReader(data), 1<<16)
	})
}
