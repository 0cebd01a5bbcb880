// check_log verifies a log that `keyturn ledger export` wrote, with golang.org/x/mod/sumdb and nothing of Keyturn's.
//
//	check_log VKEY FOLDER [HEAD...]
//
// VKEY is the log's key as you got it from somebody you trust. Each HEAD is a checkpoint of this log that you kept from earlier.
// With - for FOLDER, lines {"folder": "..."} are read from standard input. One line of JSON answers each folder.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256 // hashes a tile, entries a bundle: https://c2sp.org/tlog-tiles

type answer struct {
	Intact bool   `json:"intact"`
	Why    string `json:"why,omitempty"`
	Origin string `json:"origin,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Root   string `json:"root,omitempty"`
}

// folder is a tlog.TileReader. The names are those of tlog, less the height of a tile.
type folder string

func (f folder) Height() int                     { return 8 }
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := f.read(strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// read never waits: a pipe or a device is no file of a log.
func (f folder) read(name string) ([]byte, error) {
	path := filepath.Join(string(f), name)
	if known, err := os.Lstat(path); err != nil {
		return nil, err
	} else if !known.Mode().IsRegular() {
		return nil, errors.New(name + " is no plain file")
	}
	return os.ReadFile(path)
}

// hashes holds all of a tree, in the order of tlog.StoredHashIndex.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		found = append(found, h[index])
	}
	return found, nil
}

// open gives the tree head that key signed: https://c2sp.org/tlog-checkpoint
func open(signed []byte, key note.Verifier) (tree tlog.Tree, err error) {
	opened, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() {
		return tree, errors.New("checkpoint: not three lines, or of another log")
	}
	tree.N, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || tree.N < 1 || strconv.FormatInt(tree.N, 10) != lines[1] {
		return tree, errors.New("checkpoint: the size is no number of entries")
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// entries gives each entry of a log of this size.
func (f folder) entries(size int64, each func(entry []byte) error) error {
	for first := int64(0); first < size; first += width {
		bundle := tlog.Tile{H: 8, L: -1, N: first / width, W: width}
		if size-first < width {
			bundle.W = int(size - first)
		}
		name := strings.Replace(bundle.Path(), "tile/8/data/", "tile/entries/", 1)
		data, err := f.read(name)
		if err != nil {
			return err
		}
		for i := 0; i < bundle.W; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("%s ends within entry %d", name, first+int64(i))
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if err := each(data[2:end]); err != nil {
				return err
			}
			data = data[end:]
		}
		if len(data) > 0 {
			return errors.New(name + " has more than its entries")
		}
	}
	return nil
}

func check(f folder, key note.Verifier, heads []string) (tree tlog.Tree, err error) {
	signed, err := f.read("checkpoint")
	if err != nil {
		return tree, err
	}
	if tree, err = open(signed, key); err != nil {
		return tree, err
	}

	// All entries hashed again: the root, and every tile to the last byte.
	var all hashes
	var leaves []tlog.Hash
	err = f.entries(tree.N, func(entry []byte) error {
		leaf := tlog.RecordHash(entry)
		more, err := tlog.StoredHashesForRecordHash(int64(len(leaves)), leaf, all)
		all, leaves = append(all, more...), append(leaves, leaf)
		return err
	})
	if err != nil {
		return tree, err
	}
	if root, err := tlog.TreeHash(tree.N, all); err != nil || root != tree.Hash {
		return tree, errors.New("root mismatch: these are not the entries that were signed")
	}
	tiles := tlog.NewTiles(8, 0, tree.N)
	for i, tile := range tiles {
		if i+1 < len(tiles) && tiles[i+1].L == tile.L && tiles[i+1].N == tile.N {
			continue // the same tile, when it had fewer hashes
		}
		stored, err := f.ReadTiles([]tlog.Tile{tile})
		if err != nil {
			return tree, err
		}
		if made, err := tlog.ReadTileData(tile, all); err != nil || !bytes.Equal(made, stored[0]) {
			return tree, errors.New(tile.Path() + " is not what the entries give")
		}
	}

	// Proofs from the stored tiles, as a client makes them that has not read the whole: some entries, and each earlier head.
	reader := tlog.TileHashReader(tree, f)
	for _, n := range []int64{0, tree.N / 3, tree.N / 2, tree.N - 1} {
		proof, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			return tree, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, n, leaves[n]); err != nil {
			return tree, fmt.Errorf("entry %d: %v", n, err)
		}
	}
	for _, name := range heads {
		kept, err := os.ReadFile(name)
		if err != nil {
			return tree, err
		}
		earlier, err := open(kept, key)
		if err != nil {
			return tree, fmt.Errorf("%s: %v", name, err)
		}
		if earlier.N > tree.N {
			return tree, fmt.Errorf("rolled back: %d entries, and %s has %d", tree.N, name, earlier.N)
		}
		proof, err := tlog.ProveTree(tree.N, earlier.N, reader)
		if err != nil {
			return tree, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, earlier.N, earlier.Hash); err != nil {
			return tree, fmt.Errorf("not the log of %s: %v", name, err)
		}
	}
	return tree, nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: check_log VKEY FOLDER [HEAD...]")
		os.Exit(2)
	}
	key, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	tell := func(name string) bool {
		tree, err := check(folder(name), key, os.Args[3:])
		said := answer{Intact: err == nil, Origin: key.Name(), Size: tree.N, Root: tree.Hash.String()}
		if err != nil {
			said = answer{Why: err.Error()}
		}
		line, _ := json.Marshal(said)
		fmt.Println(string(line))
		return said.Intact
	}
	if os.Args[2] != "-" {
		if !tell(os.Args[2]) {
			os.Exit(7)
		}
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var asked struct{ Folder string }
		if json.Unmarshal(lines.Bytes(), &asked) != nil {
			os.Exit(2)
		}
		tell(asked.Folder)
	}
}
