// Reads a log's folder with the Go project's own packages: the checkpoint as a signed note, tiles as its sumdb reads
// them. Prints the number of entries that it proved, or fails.
package main

import (
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type folder string

func (f folder) Height() int                     { return 8 }
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		raw, err := os.ReadFile(filepath.Join(string(f), strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		all = append(all, raw)
	}
	return all, nil
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	where, vkey := folder(os.Args[1]), os.Args[2]
	verifiers := note.VerifierList(must(note.NewVerifier(vkey)))
	opened := must(note.Open(must(os.ReadFile(filepath.Join(string(where), "checkpoint"))), verifiers))
	lines := strings.Split(opened.Text, "\n")
	size := must(strconv.ParseInt(lines[1], 10, 64))
	var root tlog.Hash
	copy(root[:], must(base64.StdEncoding.DecodeString(lines[2])))
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, where)
	proven := 0
	for index := int64(0); index < size; index += 997 {
		leaf := tlog.RecordHash([]byte(fmt.Sprintf("entry %d", index)))
		proof := must(tlog.ProveRecord(size, index, reader))
		if err := tlog.CheckRecord(proof, size, root, index, leaf); err != nil {
			log.Fatal(err)
		}
		old := must(tlog.TreeHash(index+1, reader))
		if err := tlog.CheckTree(must(tlog.ProveTree(size, index+1, reader)), size, root, index+1, old); err != nil {
			log.Fatal(err)
		}
		proven++
	}
	fmt.Println(proven)
}
