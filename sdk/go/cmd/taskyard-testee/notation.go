package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// duration is text like "0.5s".
type duration time.Duration

func (d *duration) UnmarshalJSON(document []byte) error {
	var text string
	if err := json.Unmarshal(document, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = duration(parsed)
	return err
}

// moment is a time in the kit's form; empty if there is none.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// tlsFiles are PEM files.
type tlsFiles struct {
	CA         string `json:"ca"`
	Cert       string `json:"cert"`
	Key        string `json:"key"`
	ServerName string `json:"server_name"`
}

// config is what an application makes of such files. The certificate is read for each connection.
func (f *tlsFiles) config() (*tls.Config, error) {
	if f == nil {
		return nil, nil
	}
	config := &tls.Config{ServerName: f.ServerName}
	if f.CA != "" {
		authorities, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(authorities)
	}
	if f.Cert != "" {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
			return &pair, err
		}
	}
	return config, nil
}

// making names a value that no line of JSON can carry.
type making struct {
	What string `json:"what"`
	Size int    `json:"size"`
}

func (m making) value() (any, error) {
	switch m.What {
	case "text":
		return strings.Repeat("x", m.Size), nil
	case "nested":
		value := []any{}
		for range m.Size - 1 {
			value = []any{value}
		}
		return value, nil
	case "digits":
		return json.Number(strings.Repeat("9", m.Size)), nil
	case "nan":
		return math.NaN(), nil
	case "infinity":
		return math.Inf(1), nil
	case "surrogate":
		return "\xff", nil
	case "not-json":
		return make(chan int), nil
	}
	return nil, fault{"kind": "Unsupported", "message": fmt.Sprintf("no value %q", m.What)}
}
