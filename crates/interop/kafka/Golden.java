import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecords.RecordFilter;
import org.apache.kafka.common.record.internal.MemoryRecords.RecordFilter.BatchRetention;
import org.apache.kafka.common.record.internal.MemoryRecords.RecordFilter.BatchRetentionResult;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.BufferSupplier;

/**
 * Writes batches of every kind with Kafka's own classes, and tells in words what these classes read in every batch of
 * a folder, whoever wrote it: NAME.batch holds the bytes, NAME.txt the words.
 *
 *   Golden FOLDER
 */
public class Golden {
    private static final HexFormat HEX = HexFormat.of();
    private static final long TIME = 1_700_000_000_000L;

    private final Path folder;

    private Golden(Path folder) {
        this.folder = folder;
    }

    public static void main(String[] arguments) throws IOException {
        var golden = new Golden(Path.of(arguments[0]));
        golden.write();
        golden.describe();
    }

    private void write() throws IOException {
        for (CompressionType codec : CompressionType.values()) {
            save("java-" + codec.name, batch(RecordBatch.MAGIC_VALUE_V2, codec, TimestampType.CREATE_TIME));
        }
        save("java-log-append-time", batch(RecordBatch.MAGIC_VALUE_V2, CompressionType.LZ4, TimestampType.LOG_APPEND_TIME));
        save("java-v0", batch(RecordBatch.MAGIC_VALUE_V0, CompressionType.NONE, TimestampType.CREATE_TIME));
        save("java-v1", batch(RecordBatch.MAGIC_VALUE_V1, CompressionType.GZIP, TimestampType.CREATE_TIME));
        save("java-commit", marker(ControlRecordType.COMMIT));
        save("java-abort", marker(ControlRecordType.ABORT));
        MemoryRecords whole = batch(RecordBatch.MAGIC_VALUE_V2, CompressionType.ZSTD, TimestampType.CREATE_TIME);
        save("java-compacted", compacted(whole, 1, 2, 4));
        save("java-emptied", compacted(whole));
    }

    /** Records with and without key, value, headers; names of headers repeat; timestamps go back and forth. */
    private static MemoryRecords batch(byte magic, CompressionType codec, TimestampType timestamps) {
        boolean old = magic < RecordBatch.MAGIC_VALUE_V2;
        var builder = MemoryRecords.builder(
            ByteBuffer.allocate(1 << 16), magic, Compression.of(codec).build(), timestamps, 40, TIME + 9_000,
            old ? RecordBatch.NO_PRODUCER_ID : 4_711, old ? RecordBatch.NO_PRODUCER_EPOCH : 3,
            old ? RecordBatch.NO_SEQUENCE : 90, !old, 7);
        builder.append(TIME, bytes("AAPL"), bytes("191.24"), headers(old));
        builder.append(TIME + 250, null, bytes("no key"));
        builder.append(TIME - 5, bytes("tombstone"), null);
        builder.append(TIME + 1_000, (byte[]) null, null);
        builder.append(TIME + 1_000, bytes(""), bytes(""));
        builder.append(TIME + 1, bytes("řeka"), bytes("a river, a river, a river, a river, a river, a river"));
        if (codec != CompressionType.NONE) {
            // More than a block of snappy's.
            builder.append(TIME + 2, null, bytes("a".repeat(40_000)));
        }
        return builder.build();
    }

    private static Header[] headers(boolean old) {
        return old ? new Header[0] : new Header[] {
            new RecordHeader("trace", bytes("4f")),
            new RecordHeader("trace", null),
            new RecordHeader("", bytes("")),
            new RecordHeader("trace", bytes("50")),
        };
    }

    private static MemoryRecords marker(ControlRecordType kind) {
        return MemoryRecords.withEndTransactionMarker(46, TIME, 7, 4_711, (short) 3, new EndTransactionMarker(kind, 5));
    }

    /** What the log cleaner makes of a batch of which it leaves the records at some places. */
    private static MemoryRecords compacted(MemoryRecords whole, int... places) {
        var kept = java.util.Arrays.stream(places).mapToObj(place -> 40L + place).toList();
        var filter = new RecordFilter(TIME + 86_400_000, 60_000) {
            @Override
            protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                return new BatchRetentionResult(BatchRetention.RETAIN_EMPTY, false);
            }

            @Override
            protected boolean shouldRetainRecord(RecordBatch batch, Record record) {
                return kept.contains(record.offset());
            }
        };
        ByteBuffer out = ByteBuffer.allocate(1 << 16);
        whole.filterTo(filter, out, BufferSupplier.NO_CACHING);
        return MemoryRecords.readableRecords(out.flip());
    }

    private void save(String name, MemoryRecords records) throws IOException {
        ByteBuffer buffer = records.buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        Files.write(folder.resolve(name + ".batch"), bytes);
    }

    private void describe() throws IOException {
        try (var files = Files.newDirectoryStream(folder, "*.batch")) {
            for (Path file : files) {
                var words = new StringBuilder();
                MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file)));
                for (MutableRecordBatch batch : records.batches()) {
                    batch.ensureValid();
                    describe(batch, words);
                }
                String name = file.getFileName().toString().replace(".batch", ".txt");
                Files.writeString(folder.resolve(name), words);
            }
        }
    }

    private static void describe(RecordBatch some, StringBuilder words) {
        words.append("magic ").append(some.magic()).append('\n');
        if (!(some instanceof DefaultRecordBatch batch)) {
            return;
        }
        words.append("offsets ").append(batch.baseOffset()).append(" to ").append(batch.lastOffset()).append('\n');
        words.append("leader epoch ").append(batch.partitionLeaderEpoch()).append('\n');
        words.append("crc ").append(batch.checksum()).append('\n');
        words.append("compression ").append(batch.compressionType().name).append('\n');
        words.append("transactional ").append(batch.isTransactional()).append('\n');
        words.append("control ").append(batch.isControlBatch()).append('\n');
        words.append("producer ").append(batch.producerId()).append(" epoch ").append(batch.producerEpoch());
        words.append(" sequence ").append(batch.baseSequence()).append('\n');
        words.append(batch.timestampType().name).append(' ').append(batch.baseTimestamp());
        words.append(" up to ").append(batch.maxTimestamp()).append('\n');
        words.append("records ").append(batch.countOrNull()).append('\n');
        for (Record record : batch) {
            record.ensureValid();
            describe(batch, record, words);
        }
    }

    private static void describe(RecordBatch batch, Record record, StringBuilder words) {
        words.append(record.offset()).append(" at ").append(record.timestamp());
        words.append(" key ").append(part(record.key())).append(" value ").append(part(record.value()));
        if (batch.isControlBatch()) {
            words.append(" marker ").append(ControlRecordType.parse(record.key()).name().toLowerCase());
        }
        for (Header header : record.headers()) {
            ByteBuffer value = header.value() == null ? null : ByteBuffer.wrap(header.value());
            words.append(" header ").append(part(ByteBuffer.wrap(bytes(header.key())))).append('=').append(part(value));
        }
        words.append('\n');
    }

    /** Bytes as digits in brackets; of many the number and the last. */
    private static String part(ByteBuffer part) {
        if (part == null) {
            return "none";
        }
        byte[] bytes = new byte[part.remaining()];
        part.duplicate().get(bytes);
        return bytes.length > 1_000
            ? "[" + bytes.length + " bytes up to " + HEX.toHexDigits(bytes[bytes.length - 1]) + "]"
            : "[" + HEX.formatHex(bytes) + "]";
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
