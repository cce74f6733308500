package taskyard

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// certified writes a certificate that is its own authority, for servers and clients, and answers where.
func certified(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certificate, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	err = errors.Join(
		os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func TestTLS(t *testing.T) {
	certificate, key := certified(t, "schedulers.test")
	own, ownKey := certified(t, "client")
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted)
	address, _ := newFakeScheduler().serve(t, "127.0.0.1:0", grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	})))
	for _, each := range []struct {
		what      string
		variables map[string]string
		fine      bool
	}{
		{"as it should be", map[string]string{"CA": certificate, "CERT": own, "KEY": ownKey, "SERVER_NAME": "schedulers.test"}, true},
		{"another name", map[string]string{"CA": certificate, "CERT": own, "KEY": ownKey, "SERVER_NAME": "others.test"}, false},
		{"an authority that did not sign it", map[string]string{"CA": own, "CERT": own, "KEY": ownKey, "SERVER_NAME": "schedulers.test"}, false},
		{"no certificate of its own", map[string]string{"CA": certificate, "SERVER_NAME": "schedulers.test"}, false},
		{"no TLS", nil, false},
	} {
		t.Run(each.what, func(t *testing.T) {
			variables := map[string]string{"TASKYARD_ADDRESS": address}
			for name, value := range each.variables {
				variables["TASKYARD_TLS_"+name] = value
			}
			client, err := newClient(
				ClientOptions{TimeLimit: time.Second}, func(name string) string { return variables[name] },
			)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Cluster(t.Context())
			if each.fine && err != nil || !each.fine && !errors.Is(err, ErrUnavailable) {
				t.Error(err)
			}
		})
	}
}
