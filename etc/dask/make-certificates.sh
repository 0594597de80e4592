#!/bin/sh
# An authority of our own and a certificate each for scheduler, workers and service, in folder $1.
# Keep ca.key apart afterwards: whoever has it can join the cluster.
set -eu
folder=${1:?folder for the certificates}
days=${2:-825}
umask 077
mkdir -p "$folder"
cd "$folder"
openssl req -x509 -newkey rsa:3072 -nodes -days "$days" -subj "/CN=Goodman Live Dask" \
    -keyout ca.key -out ca.pem 2>/dev/null
for who in scheduler worker client; do
    openssl req -newkey rsa:3072 -nodes -subj "/CN=$who" -keyout "$who.key" -out "$who.csr" 2>/dev/null
    openssl x509 -req -in "$who.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" \
        -out "$who.pem" 2>/dev/null
    rm "$who.csr"
done
