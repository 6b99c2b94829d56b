/* Public keys that ssh-keygen made, and their fingerprints by it; their private halves are nowhere. */
#ifndef PENSTOCK_TEST_OWNER_KEYS_H
#define PENSTOCK_TEST_OWNER_KEYS_H

#define ED25519       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO3LWsuFnXO82RdDcOixrKf1Xiiz/msoUJvsrxD7p+95 a@b\n"
#define ED25519_PRINT "SHA256:aTKpzrmToTL9YWI3wkeGRDB4lcaaJIlP+YAQbn09C7o"
#define ECDSA                                                        \
    "ecdsa-sha2-nistp256 "                                           \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJGpdvMhE/" \
    "LLDk77fKlX7vGk6e9Z2UJXtiVQ6jVGh0SzbL+qD5XVIDXyCtSB79RxJ/+66xOOAcsG70oIx5gxzfA= c\n"
#define ECDSA_PRINT "SHA256:0/wPkorVctu8T8FMDufv1+V8bE/qVIMzmZnl77zYQhY"
#define RSA2048                                                                                             \
    "ssh-rsa "                                                                                              \
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQDmZb+iKyCvuk4GZfXCLOPPzDo0wa9DsOr71Bo9xpQo5eJCUcnhcFW6l2ztTnBeXVb0+"     \
    "RWuuJQQqXXedIyWKqEBgoUIX3ObpqS7uz4IaMN4RTjRf7Lb+"                                                      \
    "nl3adwgAy6PX20VUJQ7Ue48JG5tH7iOXBZiePpUoOnUfAYV1k8N7XkKqGy4b3m69zelu3ZkGm76kGlRioA75/"                 \
    "OstQE9wj1xkIXIGDLJXyr9frdgGlKw02TFhmhWVmp+"                                                            \
    "mrS7xuWWYxQOuG9wcQHCqDhHpSg90csJY60TovPlTZhYllpS1AUMVyO0Kc0Ovr4FHcRrX4OXVZ2zH4CbCIoJn6TJxlQ64Y8nsg2R " \
    "r\n"
#define RSA1024                                                                                              \
    "ssh-rsa "                                                                                               \
    "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDJuT5FLAtJRLttlHWX4uKqg3O8z9vkEZqi3IV4pEfQVFI2Wodro7qY82ySA3hgHobVDe9XlC" \
    "9gY/cPi+FTGhAvyHN17F8splfBfLU8+E99eq/60T8lSZoA7qDmIMklqhb2tbFos/"                                       \
    "cAz8jqdZFvQ1HZsraghfgKs8Fy7tVUlgJUuw== r\n"

#endif
