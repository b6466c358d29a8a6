# Build: docker build -t tandem .    Run: docker run --rm -e DATABASE_URL=… tandem all
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /tandem ./cmd/tandem

# No shell, no package manager, not root. The binary brings its migrations; the base brings root certificates.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /tandem /tandem
# Inside a container loopback reaches nobody; the private listener stays private by not being published.
ENV TANDEM_HTTP_ADDR=0.0.0.0:8080 TANDEM_ADMIN_ADDR=0.0.0.0:9090
EXPOSE 8080
ENTRYPOINT ["/tandem"]
CMD ["all"]
