/**
 * Certificates in base64 of their DER, valid for a century, by the command openssl. Their keys were discarded.
 *
 * CN `press7`, OU `press hall` and `line3`, serial 01AB. Names: DNS `press7`, URI `urn:device:plant1.line3.press7`, and
 * DNS `x, DNS:evil.example`, one name with a comma.
 */
export const deviceCertificate = [
  'MIIB5zCCAY6gAwIBAgICAaswCgYIKoZIzj0EAwIwJDEOMAwGA1UECgwFcGxhbnQxEjAQBgNVBAMMCWF1dGhvcml0eTAgFw0yNjEx',
  'MjkyMTU1MDJaGA8yMTI2MTEwNTIxNTUwMlowRjEOMAwGA1UECgwFcGxhbnQxEzARBgNVBAsMCnByZXNzIGhhbGwxDjAMBgNVBAsM',
  'BWxpbmUzMQ8wDQYDVQQDDAZwcmVzczcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASv+ARbtjcGfgtDAq+6nj0VUHjqyp9Hev/4',
  'ipUN7nnVyISAhS3IdFqc2lltVvdFksSVtvGh5Q3DzI6Yz/DbUkoeo4GLMIGIMEYGA1UdEQQ/MD2CBnByZXNzN4YedXJuOmRldmlj',
  'ZTpwbGFudDEubGluZTMucHJlc3M3ghN4LCBETlM6ZXZpbC5leGFtcGxlMB0GA1UdDgQWBBTkWFUtFf4ClKU6fLTXE9/FuHM0XTAf',
  'BgNVHSMEGDAWgBSDtI8TW4vWLSDeqh9/1XYwNja1OTAKBggqhkjOPQQDAgNHADBEAiB5HiGmSYhSYmiu6wWKJu4YsxAF9abdvvVG',
  'N5vjkmPx4gIgFQ5dzIOy1/qvE0u22KfntVe+Tho+ClY1ykDPZ2dkaKI=',
].join('');

/** CN `foreign`, issued by itself. */
export const foreignCertificate = [
  'MIIBezCCASGgAwIBAgIURCgQCaP00b1d3hC2vA7lh7dA86kwCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHZm9yZWlnbjAgFw0yNjEx',
  'MjkyMTU1MDJaGA8yMTI2MTEwNTIxNTUwMlowEjEQMA4GA1UEAwwHZm9yZWlnbjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMCS',
  'qxJOHmFwTNaGi1nrkw8JV7xAh6KPnwoI8NtnuMZWwUV+L+BXdloJ3Cag1+dbZv7SqOBN3IcoWbO8Zq1Xjb+jUzBRMB0GA1UdDgQW',
  'BBT0ASQUUtjUUKf/afk2naAjYS/zBjAfBgNVHSMEGDAWgBT0ASQUUtjUUKf/afk2naAjYS/zBjAPBgNVHRMBAf8EBTADAQH/MAoG',
  'CCqGSM49BAMCA0gAMEUCIQDrRxsmL9lJKW7/bjD1IxMI9jVS/8AgHI4Q/XS4DFifrgIgQW3LUj6D9LOzYaaOrqyFmiA832XZbqBY',
  'NQrMOb593JM=',
].join('');
