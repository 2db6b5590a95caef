# The one door: demo, test, acts, build, bench, clean. As root, on Debian 12 with Go,
# git and make; the rest is installed by the machine's own apt (scripts/prepare).
.PHONY: demo test acts build bench clean

# The ladder, climbed to the top with the mailu example.
demo:
	scripts/prepare
	scripts/with-engine scripts/demo

# Formatting, vet, staticcheck and every test, on real engines.
test:
	scripts/prepare test
	scripts/with-engine --runtime crun scripts/images
	scripts/check

# The whole review of docs/acts.md, played again: four acts, a quarter of an hour.
acts:
	scripts/prepare test
	scripts/with-engine scripts/acts

# build/abra-ccci and build/restic, static.
build:
	scripts/prepare

# What the ladder costs, as Markdown: half an hour. BENCH="-write" puts it into
# docs/, BENCH="ladder -recipe notes -pairs 1" measures a part; go doc ./bench
# has the rest.
bench:
	scripts/prepare test
	scripts/with-engine scripts/bench $(BENCH)

clean:
	rm -rf build
