package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
)

// sound is what a WAV file of 16-bit mono holds.
type sound struct {
	rate    int
	samples []int16
}

// header is how such a file begins.
type header struct {
	RIFF      [4]byte
	Size      uint32
	WAVEfmt   [8]byte
	Length    uint32
	Format    uint16
	Channels  uint16
	Rate      uint32
	BytesEach uint32
	Block     uint16
	Bits      uint16
	Data      [4]byte
	DataSize  uint32
}

func readSound(path string) (sound, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return sound{}, err
	}
	var head header
	reader := bytes.NewReader(content)
	if err := binary.Read(reader, binary.LittleEndian, &head); err != nil {
		return sound{}, err
	}
	if string(head.WAVEfmt[:]) != "WAVEfmt " || head.Channels != 1 || head.Bits != 16 || string(head.Data[:]) != "data" {
		return sound{}, errors.New("only 16-bit mono can be halved")
	}
	samples := make([]int16, min(int(head.DataSize), reader.Len())/2)
	return sound{int(head.Rate), samples}, binary.Read(reader, binary.LittleEndian, samples)
}

func writeSound(path string, rate int, samples []int16) error {
	size := uint32(2 * len(samples))
	var content bytes.Buffer
	head := header{
		RIFF: [4]byte([]byte("RIFF")), Size: size + 36, WAVEfmt: [8]byte([]byte("WAVEfmt ")), Length: 16, Format: 1,
		Channels: 1, Rate: uint32(rate), BytesEach: uint32(2 * rate), Block: 2, Bits: 16, Data: [4]byte([]byte("data")),
		DataSize: size,
	}
	err := errors.Join(
		binary.Write(&content, binary.LittleEndian, head), binary.Write(&content, binary.LittleEndian, samples),
	)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content.Bytes(), 0o644)
}
