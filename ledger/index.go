package ledger

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// ids tell which entries may have an id: of each they keep 32 bits of a hash
// and its index, in 8 bytes. What is found has to be read again and asked. It is
// hardly ever another one, and nobody can make up ids that are alike, as nobody
// knows the seed.
type ids struct {
	seed maphash.Seed
	runs [][]uint64 // sorted, never changed, each at least twice as long as the next
}

// add appends an entry.
func (s *ids) add(id string, index int64) {
	run, n := []uint64{s.hash(id)<<32 | uint64(index)}, len(s.runs)
	for ; n > 0 && len(s.runs[n-1]) <= len(run); n-- {
		run = slices.Concat(s.runs[n-1], run)
	}
	slices.Sort(run)
	s.runs = append(s.runs[:n], run)
}

// like are the entries that may have an id.
func (s *ids) like(id string) (indexes []int64) {
	hash := s.hash(id)
	for _, run := range s.runs {
		for i, _ := slices.BinarySearch(run, hash<<32); i < len(run) && run[i]>>32 == hash; i++ {
			indexes = append(indexes, int64(uint32(run[i])))
		}
	}
	return indexes
}

func (s *ids) hash(id string) uint64 { return maphash.String(s.seed, id) >> 32 }

// places are indexes of entries in rising order. They are kept as the
// distances between them, mostly in a byte each.
type places struct {
	last      int64
	distances []byte
}

// add appends an index.
func (p *places) add(i int64) {
	p.distances = binary.AppendUvarint(p.distances, uint64(i-p.last))
	p.last = i
}

// below are those below a size; a nil p has none.
func (p *places) below(size int64) (list []int64) {
	if p == nil {
		return nil
	}
	at, rest := int64(0), p.distances
	for len(rest) > 0 {
		distance, n := binary.Uvarint(rest)
		if at += int64(distance); at >= size {
			break
		}
		list, rest = append(list, at), rest[n:]
	}
	return list
}

func (p *places) clone() *places { return &places{p.last, slices.Clone(p.distances)} }
