import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

/**
 * Kafka's own classes, as judges of bytes: a line with a message or a batch in, a line with what they make of it out.
 *
 *   message API_KEY VERSION TO request|response HEX  ->  the message, decoded in a version and encoded again in another
 *   batch HEX                                        ->  a batch of the same records, unpacked, built and packed again
 */
public class Judge {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        var verdicts = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            verdicts.append(verdict(line.split(" ", -1))).append('\n');
        }
        System.out.print(verdicts);
    }

    private static String verdict(String[] words) {
        try {
            ByteBuffer out = words[0].equals("batch") ? batch(words) : message(words);
            return HEX.formatHex(out.array(), 0, out.limit());
        } catch (Exception e) {
            return "refused: " + e;
        }
    }

    /** Another version may lack what the message says, or its null. */
    private static final class NotInVersion extends Exception {
        NotInVersion(RuntimeException cause) {
            super(cause);
        }

        @Override
        public String toString() {
            return "not in this version";
        }
    }

    private static ByteBuffer message(String[] words) throws NotInVersion {
        var type = ApiMessageType.fromApiKey(Short.parseShort(words[1]));
        short version = Short.parseShort(words[2]);
        short to = Short.parseShort(words[3]);
        ApiMessage message = words[4].equals("request") ? type.newRequest() : type.newResponse();
        ByteBuffer in = ByteBuffer.wrap(HEX.parseHex(words[5]));
        message.read(new ByteBufferAccessor(in), version);
        if (in.hasRemaining()) {
            throw new IllegalArgumentException(in.remaining() + " bytes are left");
        }
        try {
            return written(message, to);
        } catch (UnsupportedVersionException | NullPointerException e) {
            throw new NotInVersion(e);
        }
    }

    private static ByteBuffer written(ApiMessage message, short version) {
        var cache = new ObjectSerializationCache();
        ByteBuffer out = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(out), cache, version);
        return out.flip();
    }

    private static ByteBuffer batch(String[] words) {
        byte[] bytes = HEX.parseHex(words[1]);
        MutableRecordBatch in = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches().iterator().next();
        in.ensureValid();
        ByteBuffer out = ByteBuffer.allocate(bytes.length * 4 + 1024);
        var builder = MemoryRecords.builder(
            out, RecordBatch.MAGIC_VALUE_V2, Compression.of(in.compressionType()).build(), TimestampType.CREATE_TIME,
            in.baseOffset(), RecordBatch.NO_TIMESTAMP, in.producerId(), in.producerEpoch(), in.baseSequence(),
            in.isTransactional(), in.partitionLeaderEpoch());
        for (Record record : in) {
            record.ensureValid();
            builder.append(record.timestamp(), record.key(), record.value(), record.headers());
        }
        return builder.build().buffer();
    }
}
