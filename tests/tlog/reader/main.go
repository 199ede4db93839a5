// reader reads a log as c2sp.org/tlog-tiles serves it, with the packages that Go's checksum database is read with:
// that a key signed its checkpoint, that each entry is included, and that older checkpoints are consistent with it.
//
//	reader URL VKEY [CHECKPOINT]...
package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

// tiles fetches those of a log; what it has, it keeps.
type tiles struct {
	url  string
	have map[string][]byte
}

func (t tiles) get(path string) ([]byte, error) {
	if body, ok := t.have[path]; ok {
		return body, nil
	}
	answer, err := http.Get(t.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	body, err := io.ReadAll(answer.Body)
	t.have[path] = body
	return body, err
}

// name is where tlog-tiles has a tile: without the height, which is always 8, and with a word for bundles of entries.
func name(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

func (t tiles) Height() int                                   { return 8 }
func (t tiles) SaveTiles(found []tlog.Tile, content [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) (content [][]byte, err error) {
	for _, tile := range wanted {
		body, err := t.get(name(tile))
		if err != nil {
			return nil, err
		}
		content = append(content, body)
	}
	return content, nil
}

// entries are those of a bundle, each after its length in two bytes.
func (t tiles) entries(number, size int64) (found [][]byte, err error) {
	tile := tlog.Tile{H: 8, L: -1, N: number, W: int(min(width, size-number*width))}
	rest, err := t.get(name(tile))
	for err == nil && len(rest) > 0 {
		if len(rest) < 2 || len(rest)-2 < int(rest[0])<<8+int(rest[1]) {
			return nil, errors.New(name(tile) + " is cut")
		}
		end := 2 + int(rest[0])<<8 + int(rest[1])
		found, rest = append(found, rest[2:end]), rest[end:]
	}
	if err == nil && len(found) != tile.W {
		err = fmt.Errorf("%s has %d entries", name(tile), len(found))
	}
	return found, err
}

// tree is what a signed checkpoint says (c2sp.org/tlog-checkpoint).
func tree(signed []byte, key note.Verifier) (found tlog.Tree, err error) {
	opened, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return found, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != key.Name() {
		return found, errors.New("a checkpoint of another log")
	}
	if found.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return found, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err == nil && copy(found.Hash[:], root) != tlog.HashSize {
		err = errors.New("a root of another length")
	}
	return found, err
}

func read(url, vkey string, older []string) error {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	log := tiles{url, map[string][]byte{}}
	signed, err := log.get("checkpoint")
	if err != nil {
		return err
	}
	head, err := tree(signed, key)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(head, log)
	for number := int64(0); number*width < head.N; number++ {
		entries, err := log.entries(number, head.N)
		if err != nil {
			return err
		}
		for place, entry := range entries {
			index := number*width + int64(place)
			proof, err := tlog.ProveRecord(head.N, index, hashes)
			if err == nil {
				err = tlog.CheckRecord(proof, head.N, head.Hash, index, tlog.RecordHash(entry))
			}
			if err != nil {
				return fmt.Errorf("entry %d: %w", index+1, err)
			}
		}
	}
	for _, path := range older {
		signed, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		old, err := tree(signed, key)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(head.N, old.N, hashes)
		if err == nil {
			err = tlog.CheckTree(proof, head.N, head.Hash, old.N, old.Hash)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	fmt.Printf("%d entries are included, %d checkpoints are consistent\n", head.N, len(older))
	return nil
}

func main() {
	if err := read(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
