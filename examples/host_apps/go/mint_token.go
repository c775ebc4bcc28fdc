// Mints the tokens with which a host app vouches for its users. The standard library alone.
//
//	go run mint_token.go v1 CLIENT_ID CLIENT_KEY.pem USER_ID NAME
//	go run mint_token.go v2 CLIENT_ID PRIVATE_KEY.pem USER_ID NAME [--groups a,b] [--kid ID]
//
// v1 seals with the key that Chat2LLM gave you; v2 signs with your own, whose public half you
// registered. Mint on your server, for each opening of the chat page, for the user who is logged in.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const lifetime = 300 // seconds; a v2 token is good once, and for at most 15 minutes

var errKey = errors.New("the private key must be Ed25519, P-256 or RSA, in PKCS#8")

type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid,omitempty"`
}

// Claims say for whom a token is good. Groups, when there are any, are the user's departments.
type Claims struct {
	Issuer   string    `json:"iss"`
	Audience string    `json:"aud"`
	Subject  string    `json:"sub"`
	Name     string    `json:"name"`
	ID       string    `json:"jti"`
	IssuedAt int64     `json:"iat"`
	Expires  int64     `json:"exp"`
	Groups   *[]string `json:"groups,omitempty"`
}

// MintV1 seals a token. The client key is a shared secret, whatever its PEM says.
func MintV1(clientID string, clientKey []byte, userID, name, at string) (string, error) {
	if strings.Contains(userID, "|") {
		return "", errors.New("a user id must not contain |")
	}
	block, _ := pem.Decode(clientKey)
	if block == nil {
		return "", errors.New("the client key is not a PEM file")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", err
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return "", errors.New("the client key is not an RSA key")
	}
	plain := strings.Join([]string{clientID, userID, name, at}, "|")
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, []byte(plain), nil)
	if err != nil {
		return "", err
	}
	token := clientID + "|" + base64.StdEncoding.EncodeToString(sealed)
	return base64.StdEncoding.EncodeToString([]byte(token)), nil
}

// MintV2 signs a token (JWT). Nobody else can make one, because the private key is yours alone.
func MintV2(privateKey []byte, claims Claims, kid string) (string, error) {
	block, _ := pem.Decode(privateKey)
	if block == nil {
		return "", errKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", err
	}
	name, err := algorithm(key)
	if err != nil {
		return "", err
	}
	signed := part(header{name, "JWT", kid}) + "." + part(claims)
	signature, err := sign(key, []byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

func algorithm(key any) (string, error) {
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return "EdDSA", nil
	case *rsa.PrivateKey:
		return "RS256", nil
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return "ES256", nil
		}
	}
	return "", errKey
}

func sign(key any, text []byte) ([]byte, error) {
	hash := sha256.Sum256(text)
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, text), nil
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	}
	return nil, errKey
}

func part(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings and numbers: it cannot fail
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func mint(given []string, options map[string]string) (string, error) {
	if len(given) != 5 || (given[0] != "v1" && given[0] != "v2") {
		return "", errors.New("usage: v1|v2 CLIENT_ID KEY.pem USER_ID NAME [--groups a,b] [--kid ID]")
	}
	clientID, userID, name := given[1], given[3], given[4]
	key, err := os.ReadFile(given[2])
	if err != nil {
		return "", err
	}
	at, jti := options["--at"], options["--jti"] // instead of now and of a random id, for tests
	if at == "" {
		at = strconv.FormatFloat(float64(time.Now().UnixMilli())/1000, 'f', -1, 64)
	}
	if given[0] == "v1" {
		return MintV1(clientID, key, userID, name, at)
	}
	if jti == "" {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return "", err
		}
		jti = hex.EncodeToString(random)
	}
	seconds, err := strconv.ParseFloat(at, 64)
	if err != nil {
		return "", err
	}
	now := int64(seconds)
	claims := Claims{clientID, "chat2llm", userID, name, jti, now, now + lifetime, nil}
	if groups, ok := options["--groups"]; ok {
		list := strings.FieldsFunc(groups, func(one rune) bool { return one == ',' })
		claims.Groups = &list
	}
	return MintV2(key, claims, options["--kid"])
}

func main() {
	var given []string
	options := map[string]string{}
	for i := 1; i < len(os.Args); i++ {
		if strings.HasPrefix(os.Args[i], "--") && i+1 < len(os.Args) {
			options[os.Args[i]] = os.Args[i+1]
			i++
		} else {
			given = append(given, os.Args[i])
		}
	}
	token, err := mint(given, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(token)
}
