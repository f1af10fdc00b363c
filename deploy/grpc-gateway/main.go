// Penstock's REST API by grpc-gateway: the generated reverse proxies of the public services behind one HTTP port.
//
// It keeps nothing and holds no secret: what the gateway sends as Grpc-Metadata-* arrives at the services as metadata.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/runtime"
	// Types that the details of errors have: without them such an error could not be written.
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"

	eventsv1 "penstock.dev/proto/penstock/events/v1"
	eventsv1alpha1 "penstock.dev/proto/penstock/events/v1alpha1"
	executionsv1 "penstock.dev/proto/penstock/executions/v1"
	functionsv1 "penstock.dev/proto/penstock/functions/v1"
)

type register func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error

func fromEnvironment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// connect adds the REST forms of services at `address`. The connection is made when it is first needed.
func connect(ctx context.Context, mux *runtime.ServeMux, address string, services ...register) {
	connection, err := grpc.DialContext(ctx, address, grpc.WithInsecure())
	if err != nil {
		log.Fatalf("%s: %v", address, err)
	}
	for _, service := range services {
		if err := service(ctx, mux, connection); err != nil {
			log.Fatalf("%s: %v", address, err)
		}
	}
}

func main() {
	listen := flag.String("listen", fromEnvironment("PENSTOCK_GRPC_GATEWAY_LISTEN", "127.0.0.1:8085"),
		"address of the REST API")
	broker := flag.String("event-broker", fromEnvironment("PENSTOCK_EVENT_BROKER_ADDRESS", "127.0.0.1:9020"),
		"address of the event-broker")
	manager := flag.String("function-manager", fromEnvironment("PENSTOCK_FUNCTION_MANAGER_ADDRESS", "127.0.0.1:9030"),
		"address of the function-manager")
	executor := flag.String("function-executor", fromEnvironment("PENSTOCK_FUNCTION_EXECUTOR_ADDRESS", "127.0.0.1:9040"),
		"address of the function-executor")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Names and defaults as the suite has them in JSON: lowerCamelCase, fields with their default left out.
	mux := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{}))
	connect(ctx, mux, *broker, eventsv1.RegisterEventBrokerServiceHandler, eventsv1.RegisterEventCatalogServiceHandler,
		eventsv1alpha1.RegisterTriggerCatalogServiceHandler)
	connect(ctx, mux, *manager, functionsv1.RegisterFunctionManagerServiceHandler)
	connect(ctx, mux, *executor, executionsv1.RegisterFunctionExecutorServiceHandler)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(deadline); err != nil {
			log.Print(err)
		}
	}()
	log.Printf("serves on %s", listener.Addr())
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}
