// Where Sarama and kafka-go send keys: reads a key a line, in hex, and writes what `run` says. Where there is no key,
// those that then choose by chance are not asked.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
)

var counts = []int{1, 2, 3, 12, 100}

func main() {
	info, _ := debug.ReadBuildInfo()
	for _, it := range info.Deps {
		switch it.Path {
		case "github.com/IBM/sarama":
			fmt.Println("# sarama_hash, sarama_reference, sarama_crc32: Sarama", it.Version)
		case "github.com/segmentio/kafka-go":
			fmt.Println("# kafka_go_*, least_bytes, round_robin: kafka-go", it.Version)
		}
	}
	keys := bufio.NewScanner(os.Stdin)
	for keys.Scan() {
		ask(keys.Text())
	}
	spread("least_bytes", &kafka.LeastBytes{})
	spread("round_robin", &kafka.RoundRobin{})
}

func ask(name string) {
	var key []byte
	switch name {
	case "null":
	case "empty":
		key = []byte{}
	default:
		key, _ = hex.DecodeString(name)
	}
	if key != nil {
		ofSarama("sarama_hash", name, key, sarama.NewHashPartitioner("orders"))
		ofSarama("sarama_reference", name, key, sarama.NewReferenceHashPartitioner("orders"))
		ofSarama("sarama_crc32", name, key, sarama.NewConsistentCRCHashPartitioner("orders"))
		ofKafkaGo("kafka_go_hash", name, key, &kafka.Hash{})
		ofKafkaGo("kafka_go_reference", name, key, &kafka.ReferenceHash{})
		ofKafkaGo("kafka_go_murmur2", name, key, kafka.Murmur2Balancer{Consistent: true})
	}
	ofKafkaGo("kafka_go_crc32_consistent", name, key, kafka.CRC32Balancer{Consistent: true})
	if len(key) > 0 {
		ofKafkaGo("kafka_go_crc32", name, key, kafka.CRC32Balancer{})
	}
}

func ofSarama(partitioner, name string, key []byte, it sarama.Partitioner) {
	fmt.Print(partitioner, " ", name)
	for _, count := range counts {
		partition, err := it.Partition(&sarama.ProducerMessage{Key: sarama.ByteEncoder(key)}, int32(count))
		if err != nil {
			panic(err)
		}
		fmt.Print(" ", partition)
	}
	fmt.Println()
}

func ofKafkaGo(partitioner, name string, key []byte, it kafka.Balancer) {
	fmt.Print(partitioner, " ", name)
	for _, count := range counts {
		fmt.Print(" ", it.Balance(kafka.Message{Key: key}, partitions(count)...))
	}
	fmt.Println()
}

// The partitions of 40 records in a row, of which each has seven times the bytes of the one before, modulo 101.
func spread(name string, it kafka.Balancer) {
	fmt.Print(name, " row")
	for n, bytes := 0, 1; n < 40; n, bytes = n+1, bytes*7%101 {
		fmt.Print(" ", it.Balance(kafka.Message{Value: make([]byte, bytes)}, partitions(3)...))
	}
	fmt.Println()
}

func partitions(count int) []int {
	all := make([]int, count)
	for n := range all {
		all[n] = n
	}
	return all
}
