package taskyard

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Version is this SDK's.
const Version = "0.1.0"

const (
	defaultDispatcher = "localhost:7071"
	dispatcherPort    = 7071
	defaultSlots      = 100
	defaultGrace      = 25 * time.Second
	maxSlots          = 10_000
	maxLabels         = 64
	maxLabelKey       = 63
	maxLabelValue     = 256
)

// environment looks a variable up; empty is the same as not set.
type environment func(name string) string

// workerSettings is what a worker is told at start, complete and checked: options first, then the environment, then
// defaults.
type workerSettings struct {
	dispatchers []string
	name        string
	labels      map[string]string
	slots       int
	queues      []string
	version     string
	grace       time.Duration
	pod, node   string
	namespace   string
	httpAddress string
}

func resolveWorker(options WorkerOptions, env environment) (workerSettings, error) {
	dispatchers := options.Dispatchers
	if len(dispatchers) == 0 {
		dispatchers = []string{first(env("TASKYARD_DISPATCHERS"), defaultDispatcher)}
	}
	addresses, wrong := parseAddresses(strings.Join(dispatchers, ","), dispatcherPort)
	labels, wrongLabels := resolveLabels(options.Labels, env("TASKYARD_WORKER_LABELS"))
	slots, wrongSlots := resolveSlots(options.Slots, env("TASKYARD_WORKER_SLOTS"))
	grace, wrongGrace := resolveGrace(options.Grace, env("TASKYARD_WORKER_GRACE"))
	settings := workerSettings{
		dispatchers: addresses,
		name:        first(options.Name, env("TASKYARD_WORKER_NAME"), processName()),
		labels:      labels,
		slots:       slots,
		queues:      options.Queues,
		version:     options.Version,
		grace:       grace,
		pod:         env("TASKYARD_POD_NAME"),
		node:        env("TASKYARD_NODE_NAME"),
		namespace:   first(options.Namespace, env("TASKYARD_NAMESPACE"), "default"),
		httpAddress: first(options.HTTPAddress, env("TASKYARD_WORKER_HTTP_ADDRESS")),
	}
	return settings, errors.Join(about("dispatchers", wrong), wrongLabels, wrongSlots, wrongGrace, settings.check())
}

func (s workerSettings) check() error {
	wrong := []error{
		printable("name", s.name), printable("version", s.version), printable("namespace", s.namespace),
		printable("TASKYARD_POD_NAME", s.pod), printable("TASKYARD_NODE_NAME", s.node),
	}
	for _, queue := range s.queues {
		wrong = append(wrong, printable("queues: a name", queue))
	}
	if s.httpAddress != "" {
		if _, _, err := net.SplitHostPort(s.httpAddress); err != nil {
			wrong = append(wrong, fmt.Errorf("HTTP address: must be host:port, got %q", s.httpAddress))
		}
	}
	return errors.Join(wrong...)
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

func resolveSlots(slots int, text string) (int, error) {
	if slots == 0 {
		slots = defaultSlots
		if text != "" {
			number, err := strconv.Atoi(text)
			if err != nil {
				return 0, fmt.Errorf("TASKYARD_WORKER_SLOTS: must be a whole number, got %q", text)
			}
			slots = number
		}
	}
	if slots < 1 || slots > maxSlots {
		return 0, fmt.Errorf("slots: must be 1 to %d, got %d", maxSlots, slots)
	}
	return slots, nil
}

func resolveGrace(grace time.Duration, text string) (time.Duration, error) {
	switch {
	case grace != 0:
		return max(grace, 0), nil
	case text == "":
		return defaultGrace, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0 && seconds < 1e9) {
		return 0, fmt.Errorf("TASKYARD_WORKER_GRACE: must be a number of seconds from 0 on, got %q", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func resolveLabels(given map[string]string, text string) (map[string]string, error) {
	labels, err := parseLabels(text)
	if err != nil {
		return nil, fmt.Errorf("TASKYARD_WORKER_LABELS: %w", err)
	}
	maps.Copy(labels, given)
	if len(labels) > maxLabels {
		return nil, fmt.Errorf("labels: at most %d, got %d", maxLabels, len(labels))
	}
	for key, value := range labels {
		if err := checkLabel(key, value); err != nil {
			return nil, err
		}
	}
	return labels, nil
}

// parseLabels reads labels written as "io=ssd,zone=a".
func parseLabels(text string) (map[string]string, error) {
	labels := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		key, value, found := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		if !found || key == "" {
			return nil, fmt.Errorf("labels are written key=value,key=value; got %q", part)
		}
		labels[key] = strings.TrimSpace(value)
	}
	return labels, nil
}

func checkLabel(key, value string) error {
	if length := utf8.RuneCountInString(key); length < 1 || length > maxLabelKey {
		return fmt.Errorf("labels: a key has 1 to %d characters, got %q", maxLabelKey, key)
	}
	if utf8.RuneCountInString(value) > maxLabelValue {
		return fmt.Errorf("labels: %s's value is longer than %d characters", key, maxLabelValue)
	}
	return errors.Join(printable("labels: a key", key), printable("labels: "+key+"'s value", value))
}

func printable(field, text string) error {
	unprintable := func(char rune) bool { return !unicode.IsPrint(char) }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return fmt.Errorf("%s: must be printable text, got %q", field, text)
	}
	return nil
}

func about(field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", field, err)
}

// parseAddresses reads "host:port,host:port"; a port left out is the default one.
func parseAddresses(text string, port int) ([]string, error) {
	var addresses []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		address, ok := withPort(part, port)
		if !ok {
			return nil, fmt.Errorf("%q is not host:port (IPv6 as [host]:port)", part)
		}
		if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	if len(addresses) == 0 {
		return nil, errors.New("is empty")
	}
	return addresses, nil
}

func withPort(address string, port int) (string, bool) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 || strings.HasSuffix(address, "]") {
		address, colon = fmt.Sprintf("%s:%d", address, port), len(address)
	}
	host, own := address[:colon], address[colon+1:]
	literal := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	number, err := strconv.ParseUint(own, 10, 16)
	bare := strings.Contains(host, ":") && !literal
	if err != nil || number == 0 || bare || strings.Trim(host, "[]") == "" || strings.ContainsAny(host, " /") {
		return "", false
	}
	return address, printable("", host) == nil
}

// environmentTLS is what TASKYARD_TLS (1), _TLS_CA, _TLS_CERT, _TLS_KEY and _TLS_SERVER_NAME ask for; nil if nothing. The
// client's certificate is read again for each connection, so that one that was renewed is used.
func environmentTLS(env environment) (*tls.Config, error) {
	ca, certificate, key := env("TASKYARD_TLS_CA"), env("TASKYARD_TLS_CERT"), env("TASKYARD_TLS_KEY")
	name := env("TASKYARD_TLS_SERVER_NAME")
	if !isOn(env("TASKYARD_TLS")) && ca+certificate+name == "" {
		return nil, nil
	}
	config := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if ca != "" {
		authorities, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("TASKYARD_TLS_CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("TASKYARD_TLS_CA: %s has no certificate in PEM", ca)
		}
	}
	if certificate == "" && key == "" {
		return config, nil
	}
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		return nil, fmt.Errorf("TASKYARD_TLS_CERT and _KEY: %w", err)
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		return &pair, err
	}
	return config, nil
}

func isOn(text string) bool {
	switch strings.ToLower(text) {
	case "1", "true", "yes", "on":
		return true
	}
	return false
}
