# The one door: demo, test, build, bench, clean. As root, on Debian 12 with Go,
# git and make; the rest is installed by the machine's own apt (scripts/prepare).
.PHONY: demo test build bench clean

# The ladder, climbed to the top with the mailu example.
demo:
	scripts/prepare
	scripts/with-engine scripts/demo

# Formatting, vet, staticcheck and every test, on a real engine.
test:
	scripts/prepare test
	scripts/with-engine scripts/check

# build/abra-ccci and build/restic, static.
build:
	scripts/prepare

bench:
	scripts/prepare test
	scripts/with-engine go test -run '^$$' -bench . -benchmem ./...

clean:
	rm -rf build
