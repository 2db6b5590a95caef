package recipe

import "testing"

func TestParseVersion(t *testing.T) {
	tests := []struct {
		name string
		ok   bool
	}{
		{"1.0.0+1.14.3", true},
		{"3.0.1+2024.06.52", true},
		{"2.0.1+1.0.6-social-amd64", true},
		{"1.0.0-rc1+v2.0", true},
		{"1.0.0+8.0_fpm", true},
		{"1.0.0", false},
		{"1.0+1.14.3", false},
		{"v1.0.0+1.14.3", false},
		{"1.0.0+", false},
		{"+1", false},
		{"", false},
		{"latest+1", false},
		{"1.0.0+a b", false},
		{"1.0.0+a\x1b[0m", false},
		{"01.0.0+1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, ok := ParseVersion(tt.name)
			if ok != tt.ok {
				t.Fatalf("ok = %v, want %v", ok, tt.ok)
			}
			if ok && v.String() != tt.name {
				t.Errorf("String() = %q", v)
			}
		})
	}
}

func TestCompareVersions(t *testing.T) {
	ascending := []string{
		"0.9.0+9.9.9",
		"1.0.0-rc1+1.0.0",
		"1.0.0+1.9",
		"1.0.0+1.14.2",
		"1.0.0+1.14.3",
		"1.0.0+1.14.3-fpm",
		"1.0.0+2024.06.9",
		"1.0.0+2024.6.10",
		"1.2.0+1.0.0",
		"1.10.0+1.0.0",
		"1.10.0+v1",
	}
	for i, a := range ascending {
		for j, b := range ascending {
			va, _ := ParseVersion(a)
			vb, _ := ParseVersion(b)
			if got, want := sign(va.Compare(vb)), sign(i-j); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
