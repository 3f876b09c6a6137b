import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;

/**
 * What Kafka's own classes say and its message definitions do not, a line for each fact.
 *
 *   error CODE NAME EXCEPTION...        the exception's class, then what it extends
 *   header KEY VERSION REQUEST RESPONSE the versions of the two headers
 *   range KEY FIRST LAST                the versions that a broker tells a client
 */
public class Facts {
    public static void main(String[] arguments) {
        for (Errors error : Errors.values()) {
            var line = new StringBuilder("error ").append(error.code()).append(' ').append(error.name());
            Class<?> type = error.exception() == null ? null : error.exception().getClass();
            for (; type != null && type != RuntimeException.class; type = type.getSuperclass()) {
                line.append(' ').append(type.getSimpleName());
            }
            System.out.println(line);
        }
        for (ApiKeys api : ApiKeys.values()) {
            for (short version = api.oldestVersion(); version <= api.latestVersion(true); version++) {
                System.out.println("header " + api.id + ' ' + version
                    + ' ' + api.requestHeaderVersion(version) + ' ' + api.responseHeaderVersion(version));
            }
            api.toApiVersionForApiResponse(false, ApiMessageType.ListenerType.BROKER).ifPresent(range ->
                System.out.println("range " + api.id + ' ' + range.minVersion() + ' ' + range.maxVersion()));
        }
    }
}
