// Mints the tokens with which a host app vouches for its users. JDK 17+, no packages.
//
//   java MintToken.java v1 CLIENT_ID CLIENT_KEY.pem USER_ID NAME
//   java MintToken.java v2 CLIENT_ID PRIVATE_KEY.pem USER_ID NAME [--groups a,b] [--kid ID]
//
// v1 seals with the key that Chat2LLM gave you; v2 signs with your own, whose public half you
// registered. Mint on your server, for each opening of the chat page, for the user who is logged in.

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.ECPrivateKey;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;

public class MintToken {
    static final long LIFETIME = 300; // seconds; a v2 token is good once, and for at most 15 minutes

    /** A sealed token. The client key is a shared secret, whatever its PEM says. */
    static String mintV1(String clientId, String clientKey, String userId, String name, String at)
            throws GeneralSecurityException {
        if (userId.contains("|")) throw new IllegalArgumentException("a user id must not contain |");
        PublicKey key = KeyFactory.getInstance("RSA")
            .generatePublic(new X509EncodedKeySpec(pemContent(clientKey)));
        Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPPadding");
        cipher.init(Cipher.ENCRYPT_MODE, key, new OAEPParameterSpec(
            "SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
        byte[] sealed = cipher.doFinal(utf8(clientId + "|" + userId + "|" + name + "|" + at));
        String token = clientId + "|" + Base64.getEncoder().encodeToString(sealed);
        return Base64.getEncoder().encodeToString(utf8(token));
    }

    /** A signed token (JWT). Nobody else can make one, because the private key is yours alone. */
    static String mintV2(String clientId, String privateKey, String userId, String name,
            List<String> groups, String kid, long at, String jti) throws GeneralSecurityException {
        PrivateKey key = privateKey(pemContent(privateKey));
        Map<String, Object> header = new LinkedHashMap<>();
        header.put("alg", algorithm(key));
        header.put("typ", "JWT");
        if (kid != null) header.put("kid", kid);
        Map<String, Object> claims = new LinkedHashMap<>();
        claims.put("iss", clientId);
        claims.put("aud", "chat2llm");
        claims.put("sub", userId);
        claims.put("name", name);
        claims.put("jti", jti);
        claims.put("iat", at);
        claims.put("exp", at + LIFETIME);
        if (groups != null) claims.put("groups", groups);
        String signed = base64url(utf8(json(header))) + "." + base64url(utf8(json(claims)));
        Signature signature = Signature.getInstance(Map.of(
            "EdDSA", "Ed25519", "ES256", "SHA256withECDSAinP1363Format", "RS256", "SHA256withRSA"
        ).get(algorithm(key)));
        signature.initSign(key);
        signature.update(utf8(signed));
        return signed + "." + base64url(signature.sign());
    }

    static String algorithm(PrivateKey key) {
        if (key instanceof ECPrivateKey ec && ec.getParams().getCurve().getField().getFieldSize() == 256)
            return "ES256";
        if (key.getAlgorithm().equals("RSA")) return "RS256";
        if (key.getAlgorithm().equals("EdDSA")) return "EdDSA";
        throw new IllegalArgumentException("the private key must be Ed25519, P-256 or RSA");
    }

    static PrivateKey privateKey(byte[] pkcs8) throws GeneralSecurityException {
        for (String kind : List.of("Ed25519", "EC", "RSA")) {
            try {
                return KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
            } catch (InvalidKeySpecException error) {
                continue; // a key of another kind
            }
        }
        throw new IllegalArgumentException("the private key must be Ed25519, P-256 or RSA, in PKCS#8");
    }

    static byte[] pemContent(String pem) {
        return Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
    }

    static String json(Object value) {
        if (value instanceof Map<?, ?> map)
            return map.entrySet().stream().map(item -> json(item.getKey()) + ":" + json(item.getValue()))
                .collect(Collectors.joining(",", "{", "}"));
        if (value instanceof List<?> list)
            return list.stream().map(MintToken::json).collect(Collectors.joining(",", "[", "]"));
        if (value instanceof Number) return value.toString();
        StringBuilder text = new StringBuilder("\"");
        for (char one : value.toString().toCharArray()) {
            if (one == '"' || one == '\\') text.append('\\').append(one);
            else if (one < ' ') text.append(String.format("\\u%04x", (int) one));
            else text.append(one);
        }
        return text.append('"').toString();
    }

    static String base64url(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    public static void main(String[] args) {
        try {
            System.out.println(mint(args));
        } catch (Exception error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }

    static String mint(String[] args) throws GeneralSecurityException, IOException {
        List<String> given = new ArrayList<>();
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i < args.length; i++) {
            if (args[i].startsWith("--") && i + 1 < args.length) options.put(args[i], args[++i]);
            else given.add(args[i]);
        }
        if (given.size() != 5 || !List.of("v1", "v2").contains(given.get(0)))
            throw new IllegalArgumentException(
                "usage: v1|v2 CLIENT_ID KEY.pem USER_ID NAME [--groups a,b] [--kid ID]");
        String clientId = given.get(1), userId = given.get(3), name = given.get(4);
        String key = Files.readString(Path.of(given.get(2)));
        String now = BigDecimal.valueOf(System.currentTimeMillis(), 3).toPlainString();
        String at = options.getOrDefault("--at", now); // Unix time instead of now, for tests
        String jti = options.getOrDefault("--jti", UUID.randomUUID().toString()); // also for tests
        String groups = options.get("--groups");
        List<String> list = groups == null ? null
            : Arrays.stream(groups.split(",")).filter(one -> !one.isEmpty()).toList();
        return given.get(0).equals("v1")
            ? mintV1(clientId, key, userId, name, at)
            : mintV2(clientId, key, userId, name, list, options.get("--kid"),
                new BigDecimal(at).longValue(), jti);
    }
}
