<?php
// Mints the tokens with which a host app vouches for its users. PHP 8.1+ with openssl and sodium,
// which come with it; no packages.
//
//   php mint_token.php v1 CLIENT_ID CLIENT_KEY.pem USER_ID NAME
//   php mint_token.php v2 CLIENT_ID PRIVATE_KEY.pem USER_ID NAME [--groups a,b] [--kid ID]
//
// v1 seals with the key that Chat2LLM gave you; v2 signs with your own, whose public half you
// registered. Mint on your server, for each opening of the chat page, for the user who is logged in.

declare(strict_types=1);

const LIFETIME = 300; // seconds; a v2 token is good once, and for at most 15 minutes

/** A sealed token. The client key is a shared secret, whatever its PEM says. */
function mint_v1(string $client_id, string $client_key, string $user_id, string $name, string $at = ''): string
{
    if (str_contains($user_id, '|')) {
        throw new InvalidArgumentException('a user id must not contain |');
    }
    $key = openssl_pkey_get_public($client_key);
    if (!$key || openssl_pkey_get_details($key)['type'] !== OPENSSL_KEYTYPE_RSA) {
        throw new InvalidArgumentException('the client key is an RSA key in PEM');
    }
    $at = $at !== '' ? $at : sprintf('%.3F', microtime(true));
    $length = intdiv(openssl_pkey_get_details($key)['bits'], 8);
    $padded = oaep_sha256("$client_id|$user_id|$name|$at", $length);
    if (!openssl_public_encrypt($padded, $sealed, $key, OPENSSL_NO_PADDING)) {
        throw new RuntimeException('sealing failed: ' . openssl_error_string());
    }
    return base64_encode("$client_id|" . base64_encode($sealed));
}

/** OAEP with SHA-256 and an empty label (RFC 8017, 7.1.1): before 8.5 PHP's own knows only SHA-1. */
function oaep_sha256(string $message, int $length): string
{
    $room = $length - 2 * 32 - 2 - strlen($message);
    if ($room < 0) {
        throw new InvalidArgumentException('id and name are too long for this key');
    }
    $data = hash('sha256', '', true) . str_repeat("\0", $room) . "\1" . $message;
    $seed = random_bytes(32);
    $masked_data = $data ^ mgf1_sha256($seed, strlen($data));
    return "\0" . ($seed ^ mgf1_sha256($masked_data, 32)) . $masked_data;
}

function mgf1_sha256(string $seed, int $length): string
{
    $mask = '';
    for ($counter = 0; strlen($mask) < $length; $counter++) {
        $mask .= hash('sha256', $seed . pack('N', $counter), true);
    }
    return substr($mask, 0, $length);
}

/** A signed token (JWT). Nobody else can make one, because the private key is yours alone. */
function mint_v2(
    string $client_id,
    string $private_key,
    string $user_id,
    string $name,
    ?array $groups = null,
    string $kid = '',
    int $at = 0,
    string $jti = '',
): string {
    $now = $at ?: time();
    $claims = [
        'iss' => $client_id, 'aud' => 'chat2llm', 'sub' => $user_id, 'name' => $name,
        'jti' => $jti !== '' ? $jti : bin2hex(random_bytes(16)), 'iat' => $now, 'exp' => $now + LIFETIME,
    ];
    if ($groups !== null) {
        $claims['groups'] = $groups;
    }
    $header = ['alg' => algorithm($private_key), 'typ' => 'JWT'] + ($kid !== '' ? ['kid' => $kid] : []);
    $signed = part($header) . '.' . part($claims);
    return $signed . '.' . base64url(sign($header['alg'], $private_key, $signed));
}

function algorithm(string $private_key): string
{
    if (ed25519_seed($private_key) !== null) {
        return 'EdDSA';
    }
    $key = openssl_pkey_get_private($private_key);
    $details = $key ? openssl_pkey_get_details($key) : ['type' => null];
    if ($details['type'] === OPENSSL_KEYTYPE_RSA) {
        return 'RS256';
    }
    if ($details['type'] === OPENSSL_KEYTYPE_EC && $details['ec']['curve_name'] === 'prime256v1') {
        return 'ES256';
    }
    throw new InvalidArgumentException('the private key must be Ed25519, P-256 or RSA');
}

function sign(string $algorithm, string $private_key, string $text): string
{
    if ($algorithm === 'EdDSA') {
        $pair = sodium_crypto_sign_seed_keypair(ed25519_seed($private_key));
        return sodium_crypto_sign_detached($text, sodium_crypto_sign_secretkey($pair));
    }
    if (!openssl_sign($text, $signature, $private_key, OPENSSL_ALGO_SHA256)) {
        throw new RuntimeException('signing failed: ' . openssl_error_string());
    }
    return $algorithm === 'ES256' ? without_der($signature) : $signature;
}

/** The 32 bytes of an Ed25519 key in PKCS#8 PEM (RFC 8410), which sodium takes; else null. */
function ed25519_seed(string $pem): ?string
{
    $der = (string) base64_decode((string) preg_replace('/-----[A-Z ]+-----/', '', $pem));
    $start = hex2bin('302e020100300506032b657004220420');
    return strlen($der) === 48 && str_starts_with($der, $start) ? substr($der, 16) : null;
}

/** An ECDSA signature as JWT wants it: r and s, 32 bytes each, instead of DER. */
function without_der(string $der): string
{
    $r_length = ord($der[3]);
    $r = substr($der, 4, $r_length);
    $s = substr($der, 6 + $r_length);
    $fixed = fn (string $number): string => str_pad(ltrim($number, "\0"), 32, "\0", STR_PAD_LEFT);
    return $fixed($r) . $fixed($s);
}

function part(array $value): string
{
    return base64url(json_encode($value, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR));
}

function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

function main(array $arguments): void
{
    $given = $options = [];
    for ($i = 1; $i < count($arguments); $i++) {
        if (str_starts_with($arguments[$i], '--') && isset($arguments[$i + 1])) {
            $options[$arguments[$i]] = $arguments[++$i];
        } else {
            $given[] = $arguments[$i];
        }
    }
    if (count($given) !== 5 || !in_array($given[0], ['v1', 'v2'], true)) {
        throw new InvalidArgumentException('usage: v1|v2 CLIENT_ID KEY.pem USER_ID NAME [--groups a,b] [--kid ID]');
    }
    [$version, $client_id, $file, $user_id, $name] = $given;
    $key = @file_get_contents($file);
    if ($key === false) {
        throw new InvalidArgumentException("$file cannot be read");
    }
    $at = $options['--at'] ?? ''; // Unix time instead of now, for tests
    if ($version === 'v1') {
        echo mint_v1($client_id, $key, $user_id, $name, $at), "\n";
        return;
    }
    $groups = isset($options['--groups'])
        ? array_values(array_filter(explode(',', $options['--groups']), fn ($one) => $one !== ''))
        : null;
    $jti = $options['--jti'] ?? ''; // a token id instead of a random one, for tests
    echo mint_v2($client_id, $key, $user_id, $name, $groups, $options['--kid'] ?? '', (int) $at, $jti), "\n";
}

if (realpath($_SERVER['SCRIPT_FILENAME'] ?? '') === __FILE__) {
    try {
        main($argv);
    } catch (Exception $error) {
        fwrite(STDERR, $error->getMessage() . "\n");
        exit(1);
    }
}
