// Reads, consistency and live changes with Go's own library. PENSTOCK_URL, PENSTOCK_TOKEN, PENSTOCK_CA: see README.md.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

var client = &http.Client{Transport: &http.Transport{TLSClientConfig: trust(), ForceAttemptHTTP2: true}}

func trust() *tls.Config {
	file := os.Getenv("PENSTOCK_CA")
	if file == "" {
		return &tls.Config{InsecureSkipVerify: true} // the self-signed certificate of a trial
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool}
}

func ask(method, path, body string, headers map[string]string) *http.Response {
	base := os.Getenv("PENSTOCK_URL")
	if base == "" {
		base = "https://localhost:8443"
	}
	request, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	if token := os.Getenv("PENSTOCK_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(answer.Body)
		log.Fatalf("%s: %s", answer.Status, text)
	}
	return answer
}

func load(answer *http.Response, into any) {
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		log.Fatal(err)
	}
}

type balance struct {
	Account int64       `json:"account_id"`
	Owner   string      `json:"owner"`
	Balance json.Number `json:"balance"` // every digit, as it came
}
type rows struct {
	Status int
	Body   []balance
}

func cents(n json.Number) (sum int64) {
	whole, part, _ := strings.Cut(n.String(), ".")
	fmt.Sscan(whole+(part + "00")[:2], &sum)
	return sum
}

func main() {
	// One row by its key.
	var row balance
	load(ask("GET", "/api/balances/42", "", nil), &row)
	fmt.Println("row 42:", row.Owner)

	// A list: filtered, ordered, cut.
	query := url.Values{"branch": {"eq.7"}, "order": {"balance.desc"}, "select": {"account_id,balance"}, "limit": {"3"}}
	var list []balance
	load(ask("GET", "/api/balances?"+query.Encode(), "", nil), &list)
	fmt.Println("branch 7:", len(list), "richest")

	// The next answer is not older than this one, wherever it comes from.
	seen := ask("GET", "/api/total", "", nil)
	seen.Body.Close()
	ask("GET", "/api/total", "", map[string]string{
		"Penstock-At-Least": seen.Header.Get("Penstock-Epoch") + "-" + seen.Header.Get("Penstock-Timeline")}).Body.Close()
	fmt.Println("at least: ok")

	// Two reads from one epoch.
	var both struct{ Total, Branches rows }
	load(ask("POST", "/api/$batch", `{"total": "total", "branches": "branches?select=balance"}`, nil), &both)
	var sum int64
	for _, branch := range both.Branches.Body {
		sum += cents(branch.Balance)
	}
	fmt.Printf("batch: %.2f %.2f\n", float64(cents(both.Total.Body[0].Balance))/100, float64(sum)/100)

	// Live: the rows first, then every change of exactly that query.
	known, changes := false, 0
	lines := bufio.NewScanner(ask("GET", "/api/balances?branch=eq.7", "", map[string]string{"Accept": "text/event-stream"}).Body)
	for changes < 3 && lines.Scan() {
		switch lines.Text() {
		case "event: epoch":
			known = true // all rows have come
		case "event: update":
			if known {
				changes++
			}
		}
	}
	fmt.Println("live:", changes, "changes")
}
