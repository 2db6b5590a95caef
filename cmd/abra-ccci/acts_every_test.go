//go:build acts

package main

// everyAct is whether TestSeed plays all four acts.
const everyAct = true
